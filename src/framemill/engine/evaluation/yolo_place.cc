#include "framemill/engine/evaluation/yolo_place.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framemill/config/data_set_yaml.h"
#include "framemill/engine/evaluation/data_set_files.h"
#include "framemill/engine/evaluation/yolo_labels.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;

/// Folders where the pictures of `split` may be.
std::vector<std::string> split_folders(const std::string& root, const std::string& split) {
  return {join_path(root, "images/" + split), join_path(root, "images/" + split + "2017"),
          join_path(root, split + "/images"), join_path(root, split + "2017/images")};
}

struct FoundYaml {
  std::string path;  ///< empty: there is none
  DataSetYaml yaml;
};

/// A YAML with class names in `folder`. Other YAMLs may lie there; one that is called data.yaml or
/// dataset.yaml has to be right.
Result<FoundYaml> find_yaml(const std::string& folder) {
  for (const std::string& path : files_in(folder, is_yaml_name)) {
    const Result<std::string> text = read_whole_file(path);
    if (!text || text->find("names") == std::string::npos) continue;
    Result<DataSetYaml> yaml = parse_data_set_yaml(*text, path);
    const std::string stem = stem_of(path);
    if (!yaml && (stem == "data" || stem == "dataset")) return fail(yaml.error());
    if (yaml && !yaml->class_names.empty()) return FoundYaml{path, *std::move(yaml)};
  }
  return FoundYaml{};
}

/// Whether one of its splits has to do with `folder`: a YAML one folder up may be another's.
bool names_folder(const DataSetYaml& yaml, const std::string& folder) {
  return std::ranges::any_of(yaml.splits, [&](const auto& split) {
    return std::ranges::any_of(split.second, [&](const std::string& place) {
      return place.find(folder) != std::string::npos;
    });
  });
}

/// What a YAML says of the first split to try that it names. Another split in place of one that is
/// not there would be measured in silence: pictures that a model was trained on, say.
struct NamedSplit {
  std::string split;                ///< empty: it names none
  std::vector<std::string> places;  ///< of all its parts
  std::string missing;              ///< the first part that is not there, as written; else empty
};

/// "../valid/images" is how some tools write what lies beside their YAML.
std::optional<std::string> find_part(const std::vector<std::string>& roots,
                                     const std::string& part) {
  std::vector<std::string> forms{part};
  if (part.starts_with("../")) forms.push_back(part.substr(3));
  for (const std::string& form : forms) {
    for (const std::string& root : roots) {
      std::string place = join_path(root, form);
      if (is_folder(place) || is_file(place)) return place;
    }
  }
  return std::nullopt;
}

NamedSplit named_split(const DataSetYaml& yaml, const std::string& file, const std::string& split) {
  const std::string base = folder_of(file);
  std::vector<std::string> roots{base};
  if (!yaml.root.empty()) roots.insert(roots.begin(), join_path(base, yaml.root));
  for (const std::string& each : splits_to_try(split)) {
    const auto found = yaml.splits.find(each);
    if (found == yaml.splits.end()) continue;
    NamedSplit named{.split = each};
    for (const std::string& part : found->second) {
      std::optional<std::string> place = find_part(roots, part);
      if (!place) return {.split = each, .missing = part};
      named.places.push_back(*std::move(place));
    }
    return named;
  }
  return {};
}

std::string missing_words(const NamedSplit& named, const std::string& yaml) {
  return fmt::format("{}: {}: {}: there is no such folder", yaml, named.split, named.missing);
}

/// A text beside a picture may be anything: five values in the first line, or an empty file.
bool looks_like_yolo(const std::string& path) {
  const Result<std::string> text = read_whole_file(path);
  if (!text) return false;
  LabelProblems problems;
  const std::string first = text->substr(0, text->find('\n'));
  static_cast<void>(parse_yolo_labels(first, path, std::nullopt, problems));
  return problems.empty();
}

/// classes.txt in `folder`, its parent, or labels/ there.
std::vector<std::string> names_beside(const std::string& folder) {
  for (const std::string& each :
       {folder, folder_of(folder), join_path(folder_of(folder), "labels")}) {
    std::vector<std::string> names = lines_of(join_path(each, "classes.txt"));
    if (!names.empty()) return names;
  }
  return {};
}

}  // namespace

std::vector<std::string> splits_to_try(const std::string& split) {
  if (!split.empty()) return {split};
  return {"val", "test", "train"};
}

std::string yolo_labels_of(const std::string& picture) {
  fs::path path(picture);
  fs::path out;
  std::vector<fs::path> parts(path.begin(), path.end());
  for (std::size_t i = parts.size(); i-- > 0;) {
    if (parts[i] != "images") continue;
    parts[i] = "labels";
    break;
  }
  for (const fs::path& part : parts) out /= part;
  return out.replace_extension(".txt").string();
}

namespace {

/// `wanted`: empty, or the split that pictures have to be of.
Result<std::optional<YoloPlace>> look_for_place(const std::string& path,
                                                const std::string& wanted) {
  Result<FoundYaml> own = find_yaml(path);
  if (!own) return fail(own.error());
  YoloPlace place{.class_names = own->yaml.class_names};
  std::string split = wanted;
  NamedSplit named;
  if (!own->path.empty()) {
    named = named_split(own->yaml, own->path, split);
    if (!named.split.empty()) split = named.split;
    place.pictures = named.places;
    place.split = named.split;
    if (!place.pictures.empty()) return std::optional(place);
    if (!named.missing.empty()) place.note = missing_words(named, own->path);
  } else if (const Result<FoundYaml> above = find_yaml(folder_of(path));
             above && names_folder(above->yaml, fs::path(path).filename().string())) {
    place.class_names = above->yaml.class_names;
  }
  const std::string images = join_path(path, "images");
  const bool is_flat = wanted.empty() && !files_in(images, is_picture_name).empty();
  if (is_flat && is_folder(join_path(path, "labels"))) {
    place.pictures = {images};
    place.split.clear();
    if (!place.note.empty()) place.note += fmt::format("; {} is used", images);
    return std::optional(place);
  }
  for (const std::string& each_split : splits_to_try(split)) {
    for (const std::string& folder : split_folders(path, each_split)) {
      const std::vector<std::string> pictures = files_below(folder, is_picture_name);
      const bool has_labels = std::ranges::any_of(
          pictures, [](const std::string& each) { return is_file(yolo_labels_of(each)); });
      if (!has_labels) continue;
      place.pictures = {folder};
      place.split = each_split;
      if (!place.note.empty()) place.note += fmt::format("; {} is used", folder);
      return std::optional(place);
    }
  }
  if (!place.note.empty()) return std::optional(place);
  if (!split.empty()) return std::optional<YoloPlace>();
  for (const std::string& each : files_below(path, is_picture_name)) {
    if (!is_file(yolo_labels_of(each)) || !looks_like_yolo(yolo_labels_of(each))) continue;
    place.pictures = {path};
    return std::optional(place);
  }
  return std::optional<YoloPlace>();
}

}  // namespace

Result<std::optional<YoloPlace>> find_yolo_place(const std::string& folder,
                                                 const std::string& split) {
  Result<std::optional<YoloPlace>> place = look_for_place(folder, split);
  if (place && *place && (*place)->class_names.empty() && !(*place)->pictures.empty())
    (*place)->class_names = names_beside((*place)->pictures.front());
  return place;
}

Result<YoloPlace> yolo_place_of(const std::string& yaml, const std::string& split) {
  const Result<std::string> text = read_whole_file(yaml);
  if (!text) return fail(text.error());
  const Result<DataSetYaml> read = parse_data_set_yaml(*text, yaml);
  if (!read) return fail(read.error());
  const NamedSplit named = named_split(*read, yaml, split);
  if (!named.places.empty())
    return YoloPlace{
        .pictures = named.places, .class_names = read->class_names, .split = named.split};
  if (named.split.empty())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: names no {}", yaml, fmt::join(splits_to_try(split), ", ")));
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{} below {}; correct it, name the folder with the pictures by --data, "
                          "or another split by --split",
                          missing_words(named, yaml), join_path(folder_of(yaml), read->root)));
}

std::vector<std::string> pictures_at(const YoloPlace& place) {
  std::vector<std::string> pictures;
  for (const std::string& from : place.pictures) {
    if (is_folder(from)) {
      for (std::string& each : files_below(from, is_picture_name))
        pictures.push_back(std::move(each));
    } else {
      for (const std::string& line : lines_of(from))
        pictures.push_back(join_path(folder_of(from), line));
    }
  }
  std::ranges::sort(pictures);
  pictures.erase(std::ranges::unique(pictures).begin(), pictures.end());
  return pictures;
}

}  // namespace framemill
