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
    return split.second.find(folder) != std::string::npos;
  });
}

/// The pictures of the split that `yaml` names; empty: they are not where it says.
std::string pictures_by(const DataSetYaml& yaml, const std::string& file,
                        const std::string& split) {
  const std::string base = folder_of(file);
  std::vector<std::string> roots{base};
  if (!yaml.root.empty()) roots.insert(roots.begin(), join_path(base, yaml.root));
  for (const std::string& each : splits_to_try(split)) {
    const auto found = yaml.splits.find(each);
    if (found == yaml.splits.end()) continue;
    for (const std::string& root : roots) {
      std::string folder = join_path(root, found->second);
      if (is_folder(folder) || is_file(folder)) return folder;
    }
  }
  return {};
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

/// The lines of a text without their ends and blanks behind; empty ones are left out, as are all of
/// a file that cannot be read.
std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  const Result<std::string> text = read_whole_file(path);
  for (std::size_t at = 0; text && at < text->size();) {
    const std::size_t end = std::min(text->find('\n', at), text->size());
    std::string line = text->substr(at, end - at);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
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

Result<std::optional<YoloPlace>> look_for_place(const std::string& path, const std::string& split) {
  Result<FoundYaml> own = find_yaml(path);
  if (!own) return fail(own.error());
  YoloPlace place{.class_names = own->yaml.class_names};
  if (!own->path.empty()) {
    place.pictures = pictures_by(own->yaml, own->path, split);
    if (!place.pictures.empty()) return std::optional(place);
  } else if (const Result<FoundYaml> above = find_yaml(folder_of(path));
             above && names_folder(above->yaml, fs::path(path).filename().string())) {
    place.class_names = above->yaml.class_names;
  }
  const std::string images = join_path(path, "images");
  const bool is_flat = split.empty() && !files_in(images, is_picture_name).empty();
  if (is_flat && is_folder(join_path(path, "labels"))) {
    place.pictures = images;
    return std::optional(place);
  }
  for (const std::string& each_split : splits_to_try(split)) {
    for (const std::string& folder : split_folders(path, each_split)) {
      const std::vector<std::string> pictures = files_below(folder, is_picture_name);
      const bool has_labels = std::ranges::any_of(
          pictures, [](const std::string& each) { return is_file(yolo_labels_of(each)); });
      if (!has_labels) continue;
      place.pictures = folder;
      return std::optional(place);
    }
  }
  if (!split.empty()) return std::optional<YoloPlace>();
  for (const std::string& each : files_below(path, is_picture_name)) {
    if (!is_file(yolo_labels_of(each)) || !looks_like_yolo(yolo_labels_of(each))) continue;
    place.pictures = path;
    return std::optional(place);
  }
  return std::optional<YoloPlace>();
}

}  // namespace

Result<std::optional<YoloPlace>> find_yolo_place(const std::string& folder,
                                                 const std::string& split) {
  Result<std::optional<YoloPlace>> place = look_for_place(folder, split);
  if (place && *place && (*place)->class_names.empty())
    (*place)->class_names = names_beside((*place)->pictures);
  return place;
}

Result<YoloPlace> yolo_place_of(const std::string& yaml, const std::string& split) {
  const Result<std::string> text = read_whole_file(yaml);
  if (!text) return fail(text.error());
  const Result<DataSetYaml> read = parse_data_set_yaml(*text, yaml);
  if (!read) return fail(read.error());
  YoloPlace place{.pictures = pictures_by(*read, yaml, split), .class_names = read->class_names};
  if (!place.pictures.empty()) return place;
  std::string named;
  for (const std::string& each : splits_to_try(split)) {
    const auto found = read->splits.find(each);
    if (found != read->splits.end())
      named += fmt::format("{}{}: {}", named.empty() ? "" : ", ", each, found->second);
  }
  if (named.empty())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: names no {}", yaml, fmt::join(splits_to_try(split), ", ")));
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("{}: {}: there is no such folder below {}; correct it, or name the folder "
                  "with the pictures by --data",
                  yaml, named, join_path(folder_of(yaml), read->root)));
}

std::vector<std::string> pictures_at(const YoloPlace& place) {
  if (is_folder(place.pictures)) return files_below(place.pictures, is_picture_name);
  std::vector<std::string> pictures = lines_of(place.pictures);
  for (std::string& each : pictures) each = join_path(folder_of(place.pictures), each);
  return pictures;
}

}  // namespace framemill
