#include "framemill/engine/evaluation/coco_labels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace framemill {
namespace {

using Json = nlohmann::json;

constexpr double kSideMost = 1e6;

/// The document, or where its text breaks off: the parser's own words name line and column.
Result<Json> parse_json(std::string_view text, std::string_view file) {
  // Outlines are most of such a file, and not looked at.
  const auto is_kept = [](int, Json::parse_event_t event, const Json& parsed) {
    return event != Json::parse_event_t::key || parsed != "segmentation";
  };
  Json document;
  try {
    document = Json::parse(text.begin(), text.end(), is_kept);
  } catch (const Json::exception& error) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: not JSON: {}", file, error.what()));
  }
  return document;
}

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::optional<double> number_in(const Json& object, const char* key) {
  const Json* const value = member(object, key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const auto number = value->get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<std::int64_t> integer_in(const Json& object, const char* key) {
  const Json* const value = member(object, key);
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  return value->get<std::int64_t>();
}

/// An id may be a number or, in files of some tools, a text.
std::optional<std::string> id_in(const Json& object, const char* key) {
  const Json* const value = member(object, key);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_integer()) return std::to_string(value->get<std::int64_t>());
  if (value->is_string()) return value->get<std::string>();
  return std::nullopt;
}

/// "bbox"; none unless four finite numbers with sides of at least 0.
std::optional<ExactBox> bbox_in(const Json& object) {
  const Json* const list = member(object, "bbox");
  if (list == nullptr || !list->is_array() || list->size() != 4) return std::nullopt;
  std::array<double, 4> box{};
  for (std::size_t i = 0; i < 4; ++i) {
    if (!(*list)[i].is_number()) return std::nullopt;
    box[i] = (*list)[i].get<double>();
    if (!std::isfinite(box[i]) || std::abs(box[i]) > kSideMost) return std::nullopt;
  }
  if (box[2] < 0 || box[3] < 0) return std::nullopt;
  return ExactBox{box[0], box[1], box[2], box[3]};
}

bool is_shorter_or_less(const std::string& a, const std::string& b) {
  const auto is_number = [](const std::string& id) {
    return !id.empty() && id.find_first_not_of("0123456789") == std::string::npos;
  };
  if (is_number(a) && is_number(b) && a.size() != b.size()) return a.size() < b.size();
  return a < b;
}

/// Reads the lists of one document into `labels`.
class CocoReader {
 public:
  CocoReader(const Json& document, std::string_view file, LabelProblems& problems)
      : document_(document), file_(file), problems_(problems) {}

  CocoLabels read() {
    read_categories();
    read_images();
    read_annotations();
    std::ranges::stable_sort(labels_.pictures, is_shorter_or_less, &LabelledPicture::id);
    return std::move(labels_);
  }

 private:
  void wrong(const char* list, std::size_t i, std::string message) {
    problems_.add(file_, 0, fmt::format("{}[{}]{}", list, i, std::move(message)));
  }

  void read_categories() {
    std::map<std::int64_t, std::string> names;
    const Json& list = document_["categories"];
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::optional<std::int64_t> id = integer_in(list[i], "id");
      const Json* const name = member(list[i], "name");
      if (!id || name == nullptr || !name->is_string())
        wrong("categories", i, ": needs a whole number \"id\" and a text \"name\"");
      else if (!names.emplace(*id, name->get<std::string>()).second)
        wrong("categories", i, fmt::format(".id: {} stands twice", *id));
    }
    for (const auto& [id, name] : names) {
      class_of_[id] = static_cast<int>(labels_.class_names.size());
      labels_.class_names.push_back(name);
      labels_.category_ids.push_back(id);
    }
  }

  void read_images() {
    const Json& list = document_["images"];
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::optional<std::string> id = id_in(list[i], "id");
      const Json* const name = member(list[i], "file_name");
      const std::optional<std::int64_t> width = integer_in(list[i], "width");
      const std::optional<std::int64_t> height = integer_in(list[i], "height");
      if (!id || name == nullptr || !name->is_string()) {
        wrong("images", i, ": needs an \"id\" and a text \"file_name\"");
      } else if (!width || !height || *width < 1 || *height < 1 || *width > kSideMost ||
                 *height > kSideMost) {
        wrong("images", i, ": needs \"width\" and \"height\" in pixels");
      } else if (!picture_of_.emplace(*id, labels_.pictures.size()).second) {
        wrong("images", i, fmt::format(".id: {} stands twice", *id));
      } else {
        labels_.pictures.push_back(
            {.name = name->get<std::string>(),
             .id = *id,
             .labelled_size = {static_cast<int>(*width), static_cast<int>(*height)},
             .is_labelled = true});
      }
    }
  }

  void read_annotations() {
    const Json& list = document_["annotations"];
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Json& entry = list[i];
      const std::optional<std::string> image_id = id_in(entry, "image_id");
      const auto picture = image_id ? picture_of_.find(*image_id) : picture_of_.end();
      const std::optional<std::int64_t> category = integer_in(entry, "category_id");
      const auto class_id = category ? class_of_.find(*category) : class_of_.end();
      const auto box = bbox_in(entry);
      if (picture == picture_of_.end()) {
        wrong("annotations", i, ".image_id: names none of \"images\"");
      } else if (class_id == class_of_.end()) {
        wrong("annotations", i, ".category_id: names none of \"categories\"");
      } else if (!box) {
        wrong("annotations", i, ".bbox: needs four numbers: x, y, width, height in pixels");
      } else {
        const std::optional<double> area = number_in(entry, "area");
        const Json* const crowd = member(entry, "iscrowd");
        const bool is_crowd = crowd != nullptr && ((crowd->is_number() && *crowd != 0) ||
                                                   (crowd->is_boolean() && crowd->get<bool>()));
        labels_.pictures[picture->second].objects.push_back(
            {.class_id = class_id->second,
             .box = to_box(*box),
             .area = area.value_or(box->width * box->height),
             .is_crowd = is_crowd,
             .is_ignored = is_crowd,
             .exact = box});
      }
    }
  }

  const Json& document_;
  std::string_view file_;
  LabelProblems& problems_;
  CocoLabels labels_;
  std::unordered_map<std::int64_t, int> class_of_;
  std::unordered_map<std::string, std::size_t> picture_of_;
};

bool has_list(const Json& document, const char* key) {
  const Json* const value = member(document, key);
  return value != nullptr && value->is_array();
}

}  // namespace

Result<CocoLabels> parse_coco_labels(std::string_view text, std::string_view file,
                                     LabelProblems& problems) {
  const Result<Json> document = parse_json(text, file);
  if (!document) return fail(document.error());
  for (const char* const key : {"images", "annotations", "categories"}) {
    if (!has_list(*document, key))
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: has no list \"{}\"; COCO annotations have images, annotations "
                              "and categories",
                              file, key));
  }
  return CocoReader(*document, file, problems).read();
}

bool looks_like_coco_labels(std::string_view text) {
  return text.find("\"images\"") != std::string_view::npos &&
         text.find("\"annotations\"") != std::string_view::npos &&
         text.find("\"categories\"") != std::string_view::npos;
}

Result<std::vector<CocoResult>> parse_coco_results(std::string_view text, std::string_view file) {
  const Result<Json> document = parse_json(text, file);
  if (!document) return fail(document.error());
  if (!document->is_array())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: is no list of detections, as COCO result files are: "
                            "[{{\"image_id\": 1, \"category_id\": 18, \"bbox\": [x, y, width, "
                            "height], \"score\": 0.9}}]",
                            file));
  std::vector<CocoResult> results;
  LabelProblems problems;
  for (std::size_t i = 0; i < document->size(); ++i) {
    const Json& entry = (*document)[i];
    const std::optional<std::string> picture = id_in(entry, "image_id");
    const std::optional<std::int64_t> category = integer_in(entry, "category_id");
    const std::optional<double> score = number_in(entry, "score");
    const auto box = bbox_in(entry);
    if (!picture || !category || !score || !box) {
      const char* const key = !picture    ? "image_id"
                              : !category ? "category_id"
                              : !score    ? "score"
                                          : "bbox";
      problems.add(file, 0, fmt::format("[{}].{}: is missing or not what it should be", i, key));
      continue;
    }
    results.push_back({.picture_id = *picture,
                       .category_id = *category,
                       .detection = {.score = *score, .box = *box}});
  }
  if (!problems.empty()) return fail(problems.error());
  return results;
}

}  // namespace framemill
