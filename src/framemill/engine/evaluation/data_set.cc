#include "framemill/engine/evaluation/data_set.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framemill/engine/evaluation/coco_labels.h"
#include "framemill/engine/evaluation/data_set_files.h"
#include "framemill/engine/evaluation/label_problem.h"
#include "framemill/engine/evaluation/voc/voc_labels.h"
#include "framemill/engine/evaluation/yolo_labels.h"
#include "framemill/engine/evaluation/yolo_place.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;

bool is_json_name(std::string_view path) { return ends_in(path, {".json"}); }
bool is_xml_name(std::string_view path) { return ends_in(path, {".xml"}); }

Failure wrong(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

class DataSetReader {
 public:
  explicit DataSetReader(const DataSetQuery& query) : query_(query) { data_.path = query.path; }

  Result<DataSet> read() {
    if (Result<void> done = dispatch(); !done) return fail(done.error());
    if (!problems_.empty()) return fail(problems_.error());
    if (data_.format != LabelFormat::kCoco) tell_apart();
    return std::move(data_);
  }

 private:
  /// Results go by id: where stems are not unique, such as those of frames of several cameras, the
  /// path without its ending is one, and with it where even that stands twice.
  void tell_apart() {
    std::map<std::string, int> stems, names;
    const auto without_ending = [](const std::string& name) {
      return fs::path(name).replace_extension().string();
    };
    for (const LabelledPicture& each : data_.pictures) {
      ++stems[each.id];
      ++names[without_ending(each.name)];
    }
    for (LabelledPicture& each : data_.pictures) {
      if (stems[each.id] == 1) continue;
      std::string name = without_ending(each.name);
      each.id = names[name] == 1 ? std::move(name) : each.name;
    }
  }

  [[nodiscard]] bool may_be(LabelFormat format) const {
    return !query_.format || *query_.format == format;
  }

  Result<void> dispatch() {
    const std::string& path = query_.path;
    if (is_file(path)) {
      if (is_yaml_name(path)) return read_yaml(path);
      if (is_json_name(path)) return read_coco(path);
      if (is_clip_name(path)) {
        data_.clips.push_back(path);
        return {};
      }
      if (is_picture_name(path)) return read_plain({path});
      return wrong(
          fmt::format("{}: is no data.yaml, COCO annotations (.json), picture or clip", path));
    }
    if (!is_folder(path))
      return fail(ErrorCode::kNotFound, fmt::format("{}: there is no such file or folder", path));
    return read_folder();
  }

  Result<void> read_folder() {
    const std::string& path = query_.path;
    std::string missing;
    if (may_be(LabelFormat::kYolo)) {
      const Result<std::optional<YoloPlace>> yolo = find_yolo_place(path, query_.split);
      if (!yolo) return fail(yolo.error());
      if (*yolo && !(*yolo)->pictures.empty()) {
        if (!query_.format) note_others();
        return read_yolo(**yolo);
      }
      if (*yolo) missing = (*yolo)->note;
    }
    if (may_be(LabelFormat::kCoco)) {
      const Result<std::string> coco = find_coco();
      if (!coco) return fail(coco.error());
      if (!coco->empty()) return read_coco(*coco);
    }
    if (may_be(LabelFormat::kVoc)) {
      const std::string voc = find_voc();
      if (!voc.empty()) return read_voc(voc);
    }
    if (!missing.empty()) return wrong(missing);
    if (query_.format && *query_.format != LabelFormat::kNone)
      return wrong(fmt::format("{}: has no {} labels; {}", path, to_string(*query_.format),
                               where_labels_are(*query_.format)));
    if (!query_.split.empty())
      return wrong(
          fmt::format("{}: has no pictures with labels for --split {}", path, query_.split));
    data_.clips = files_below(path, is_clip_name);
    const std::vector<std::string> pictures = files_below(path, is_picture_name);
    if (pictures.empty() && data_.clips.empty())
      return wrong(
          fmt::format("{}: holds no pictures (.jpg, .png, .bmp, .webp, .tif) or clips", path));
    return read_plain(pictures);
  }

  static std::string_view where_labels_are(LabelFormat format) {
    switch (format) {
      case LabelFormat::kYolo:
        return "they lie in labels/ beside images/, or as .txt beside each picture";
      case LabelFormat::kCoco:
        return "they are a .json with images, annotations and categories, there or in annotations/";
      default:
        return "they lie as .xml in Annotations/ or xml/, or beside each picture";
    }
  }

  void note_others() {
    const std::string voc = find_voc();
    if (!voc.empty())
      data_.notes.push_back(
          fmt::format("YOLO labels are used; there are VOC labels, too, in {} (--format voc)",
                      relative_name(voc, query_.path)));
  }

  // ---- YOLO

  Result<void> read_yaml(const std::string& path) {
    if (!may_be(LabelFormat::kYolo))
      return wrong(
          fmt::format("{}: is a YAML, which YOLO data sets have; name the folder in place "
                      "of it for {}",
                      path, to_string(*query_.format)));
    const Result<YoloPlace> place = yolo_place_of(path, query_.split);
    if (!place) return fail(place.error());
    return read_yolo(*place);
  }

  Result<void> read_yolo(const YoloPlace& place) {
    data_.format = LabelFormat::kYolo;
    data_.class_names = place.class_names;
    data_.split = place.split;
    if (!place.note.empty()) data_.notes.push_back(place.note);
    std::optional<int> class_count;
    if (!data_.class_names.empty()) class_count = static_cast<int>(data_.class_names.size());
    const std::vector<std::string> pictures = pictures_at(place);
    if (pictures.empty())
      return wrong(fmt::format("{}: holds no pictures (.jpg, .png, .bmp, .webp, .tif)",
                               fmt::join(place.pictures, ", ")));
    std::size_t without = 0;
    std::string first_without;
    for (const std::string& picture : pictures) {
      const std::string labels = yolo_labels_of(picture);
      LabelledPicture entry{.path = picture,
                            .name = relative_name(picture, query_.path),
                            .id = stem_of(picture),
                            .is_labelled = true};
      if (is_file(labels)) {
        const Result<std::string> text = read_whole_file(labels);
        if (!text) return fail(text.error());
        entry.objects = parse_yolo_labels(*text, labels, class_count, problems_);
        data_.label_files.push_back(labels);
        if (data_.labels_at.empty()) data_.labels_at = folder_of(labels);
      } else if (++without == 1) {
        first_without = entry.name;
      }
      data_.pictures.push_back(std::move(entry));
    }
    if (without == pictures.size())
      return wrong(fmt::format("{}: none of the {} pictures has labels; {}",
                               fmt::join(place.pictures, ", "), pictures.size(),
                               where_labels_are(LabelFormat::kYolo)));
    if (without > 0)
      data_.notes.push_back(fmt::format(
          "{} of {} pictures have no file of labels, such as {}; they count as pictures without "
          "objects",
          without, pictures.size(), first_without));
    return {};
  }

  // ---- COCO

  /// Empty: there is none.
  Result<std::string> find_coco() {
    std::vector<std::string> found;
    for (const std::string& folder :
         {query_.path, join_path(query_.path, "annotations"), join_path(query_.path, "labels")}) {
      for (const std::string& path : files_in(folder, is_json_name)) {
        const Result<std::string> text = read_whole_file(path);
        if (text && looks_like_coco_labels(*text)) found.push_back(path);
      }
    }
    if (found.empty()) return std::string();
    if (found.size() == 1 && query_.split.empty()) return found.front();
    for (const std::string& split : splits_to_try(query_.split)) {
      std::vector<std::string> of_split;
      for (const std::string& path : found) {
        if (fs::path(path).filename().string().find(split) != std::string::npos)
          of_split.push_back(path);
      }
      if (of_split.size() == 1) {
        data_.split = split;
        if (found.size() == 1) return of_split.front();
        data_.notes.push_back(fmt::format("of {} files of annotations, {} is used", found.size(),
                                          relative_name(of_split.front(), query_.path)));
        return of_split.front();
      }
    }
    if (!query_.split.empty())
      return wrong(
          fmt::format("{}: --split {} is in the name of none or several of its files of COCO "
                      "annotations: {}; name one of them by --data",
                      query_.path, query_.split, fmt::join(found, ", ")));
    return wrong(fmt::format("{}: has {} files of COCO annotations; name one of them by --data: {}",
                             query_.path, found.size(), fmt::join(found, ", ")));
  }

  Result<void> read_coco(const std::string& path) {
    if (!may_be(LabelFormat::kCoco))
      return wrong(fmt::format("{}: is JSON, as COCO annotations are, not {}", path,
                               to_string(*query_.format)));
    const Result<std::string> text = read_whole_file(path);
    if (!text) return fail(text.error());
    Result<CocoLabels> labels = parse_coco_labels(*text, path, problems_);
    if (!labels) return fail(labels.error());
    if (!problems_.empty()) return fail(problems_.error());
    if (labels->pictures.empty()) return wrong(fmt::format("{}: lists no images", path));
    data_.format = LabelFormat::kCoco;
    data_.labels_at = path;
    data_.label_files = {path};
    data_.class_names = std::move(labels->class_names);
    data_.category_ids = std::move(labels->category_ids);
    data_.pictures = std::move(labels->pictures);
    if (!query_.are_pictures_wanted) return {};
    const std::string below = folder_of(path);
    const std::string stem = stem_of(path);
    std::vector<std::string> folders;
    for (const std::string& root : {below, folder_of(below)}) {
      for (const std::string& name :
           {std::string("."), std::string("images"), stem.substr(stem.find_last_of('_') + 1)}) {
        folders.push_back(join_path(root, name));
        folders.push_back(join_path(join_path(root, "images"), name));
      }
    }
    for (const std::string& folder : folders) {
      const bool is_here = std::ranges::any_of(data_.pictures, [&](const LabelledPicture& each) {
        return is_file(join_path(folder, each.name));
      });
      if (!is_here) continue;
      for (LabelledPicture& each : data_.pictures) each.path = join_path(folder, each.name);
      return {};
    }
    return fail(ErrorCode::kNotFound,
                fmt::format("{}: none of its {} pictures, such as {}, lies beside it, in images/ "
                            "or one folder up",
                            path, data_.pictures.size(), data_.pictures.front().name));
  }

  // ---- VOC

  /// The folder of the .xml files; empty: none.
  [[nodiscard]] std::string find_voc() const {
    for (const char* const name : {"Annotations", "annotations", "xml", "labels", "."}) {
      std::string folder = join_path(query_.path, name);
      for (const std::string& path : files_in(folder, is_xml_name)) {
        const Result<std::string> text = read_whole_file(path);
        if (text && text->find("<annotation") != std::string::npos) return folder;
      }
    }
    return {};
  }

  /// The names that ImageSets/Main lists for the split; none where there are no lists.
  Result<std::optional<std::set<std::string>>> read_voc_split() {
    const std::string folder = join_path(query_.path, "ImageSets/Main");
    for (const std::string& split : splits_to_try(query_.split)) {
      const std::string list = join_path(folder, split + ".txt");
      if (!is_file(list)) continue;
      std::set<std::string> names;
      for (const std::string& line : lines_of(list))
        names.insert(line.substr(0, line.find_first_of(" \t")));
      data_.split = split;
      if (query_.split.empty())
        data_.notes.push_back(fmt::format("the {} pictures of {} are used; --split takes others",
                                          names.size(), relative_name(list, query_.path)));
      return std::optional(std::move(names));
    }
    if (!query_.split.empty())
      return wrong(
          fmt::format("{}: has no list {}.txt for --split {}", folder, query_.split, query_.split));
    return std::optional<std::set<std::string>>();
  }

  Result<void> read_voc(const std::string& folder) {
    const Result<std::optional<std::set<std::string>>> listed = read_voc_split();
    if (!listed) return fail(listed.error());
    const auto is_left_out = [&](const std::string& stem) {
      return listed->has_value() && !(*listed)->contains(stem);
    };
    data_.format = LabelFormat::kVoc;
    data_.labels_at = folder;
    std::map<std::string, std::string> pictures;  // by stem
    for (const char* const name : {"JPEGImages", "images", "."}) {
      for (const std::string& path : files_in(join_path(query_.path, name), is_picture_name))
        if (!is_left_out(stem_of(path))) pictures.emplace(stem_of(path), path);
    }
    std::set<std::string> names;
    std::vector<std::pair<std::size_t, std::string>> classes;  // of the objects, in their order
    std::size_t without_picture = 0;
    for (const std::string& path : files_in(folder, is_xml_name)) {
      if (is_left_out(stem_of(path))) continue;
      const Result<std::string> text = read_whole_file(path);
      if (!text) return fail(text.error());
      const Result<VocLabels> labels = parse_voc_labels(*text, path, problems_);
      if (!labels) {
        problems_.add(labels.error());
        continue;
      }
      const auto picture = pictures.find(stem_of(path));
      if (picture == pictures.end()) {
        ++without_picture;
        continue;
      }
      if (labels->size.width == 0 && !labels->objects.empty()) {
        problems_.add(path, 1, "has no <size>, which its boxes are measured in");
        continue;
      }
      LabelledPicture entry{.path = picture->second,
                            .name = relative_name(picture->second, query_.path),
                            .id = stem_of(path),
                            .labelled_size = labels->size.width == 0 ? Size{1, 1} : labels->size,
                            .is_labelled = true};
      for (const VocObject& object : labels->objects) {
        entry.objects.push_back(object.object);
        names.insert(object.class_name);
        classes.emplace_back(data_.pictures.size(), object.class_name);
      }
      data_.pictures.push_back(std::move(entry));
      data_.label_files.push_back(path);
      pictures.erase(picture);
    }
    if (data_.pictures.empty() && problems_.empty())
      return wrong(
          fmt::format("{}: none of its labels has a picture of the same name in "
                      "JPEGImages/ or images/",
                      folder));
    name_voc_classes(names, classes);
    if (without_picture > 0)
      data_.notes.push_back(fmt::format("{} files of labels have no picture", without_picture));
    if (!pictures.empty())
      data_.notes.push_back(fmt::format("{} pictures have no labels and are left out, such as {}",
                                        pictures.size(),
                                        relative_name(pictures.begin()->second, query_.path)));
    return {};
  }

  void name_voc_classes(const std::set<std::string>& names,
                        const std::vector<std::pair<std::size_t, std::string>>& classes) {
    data_.class_names.assign(names.begin(), names.end());
    std::size_t at = 0;
    for (std::size_t i = 0; i < data_.pictures.size(); ++i) {
      for (LabelledObject& object : data_.pictures[i].objects) {
        const auto name = std::ranges::lower_bound(data_.class_names, classes[at++].second);
        object.class_id = static_cast<int>(name - data_.class_names.begin());
      }
    }
  }

  // ---- without labels

  Result<void> read_plain(const std::vector<std::string>& pictures) {
    for (const std::string& path : pictures) {
      data_.pictures.push_back(
          {.path = path, .name = relative_name(path, query_.path), .id = stem_of(path)});
    }
    return {};
  }

  const DataSetQuery& query_;
  DataSet data_;
  LabelProblems problems_;
};

}  // namespace

std::string_view to_string(LabelFormat format) {
  switch (format) {
    case LabelFormat::kYolo:
      return "YOLO";
    case LabelFormat::kCoco:
      return "COCO";
    case LabelFormat::kVoc:
      return "VOC";
    case LabelFormat::kNone:
      break;
  }
  return "none";
}

bool is_clip_name(std::string_view path) {
  return ends_in(path, {".mp4", ".mkv", ".avi", ".mov", ".ts", ".m4v", ".webm", ".mpg", ".mjpeg"});
}

std::size_t DataSet::class_count() const {
  std::size_t count = class_names.size();
  for (const LabelledPicture& picture : pictures) {
    for (const LabelledObject& object : picture.objects)
      count = std::max(count, static_cast<std::size_t>(object.class_id) + 1);
  }
  return count;
}

std::vector<bool> DataSet::used_classes() const {
  std::vector<bool> is_used(class_count());
  for (const LabelledPicture& picture : pictures) {
    for (const LabelledObject& object : picture.objects)
      is_used[static_cast<std::size_t>(object.class_id)] = true;
  }
  return is_used;
}

Result<DataSet> read_data_set(const DataSetQuery& query) {
  DataSetQuery plain = query;  // "coco/" has a folder above it, too
  while (plain.path.size() > 1 && plain.path.back() == '/') plain.path.pop_back();
  return DataSetReader(plain).read();
}

}  // namespace framemill
