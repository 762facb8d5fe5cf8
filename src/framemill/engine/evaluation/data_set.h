#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/engine/evaluation/labelled_picture.h"

namespace framemill {

enum class LabelFormat : std::uint8_t { kNone, kYolo, kCoco, kVoc };
[[nodiscard]] std::string_view to_string(LabelFormat format);

/// What to look for.
struct DataSetQuery {
  std::string path;                   ///< folder, data.yaml, COCO annotations, a picture or a clip
  std::optional<LabelFormat> format;  ///< none: found by looking
  std::string split;                  ///< of a data.yaml or folder: "val"; empty: val, test, train
  bool are_pictures_wanted = true;    ///< false: results from elsewhere, no file is looked for
};

/// Pictures and what is known of them. Pictures are ordered by id (COCO) or path.
struct DataSet {
  std::string path;  ///< as asked for
  LabelFormat format = LabelFormat::kNone;
  std::string labels_at;                   ///< folder or file of the labels, for people
  std::string split;                       ///< that the pictures are of; empty: there are none
  std::vector<std::string> class_names;    ///< may be empty: classes go by number
  std::vector<std::int64_t> category_ids;  ///< of class_names in COCO's result files
  std::vector<LabelledPicture> pictures;
  std::vector<std::string> clips;        ///< files of video, without labels
  std::vector<std::string> label_files;  ///< that objects were read from
  std::vector<std::string> notes;        ///< what a reader of the figures should know
  [[nodiscard]] bool is_labelled() const { return format != LabelFormat::kNone; }
  /// How many classes: names, or the highest number used + 1.
  [[nodiscard]] std::size_t class_count() const;
  /// By class: whether an object has it.
  [[nodiscard]] std::vector<bool> used_classes() const;
};

/// Finds and reads the labels of a data set; pictures are not opened. In this order:
///   YOLO: a YAML with `names` and splits, or images/ beside labels/, or .txt beside each picture;
///         names from the YAML or classes.txt, there or (a YAML that names it) one folder up
///   COCO: a .json with images, annotations and categories, in the folder or in annotations/
///   VOC:  .xml of each picture in Annotations/, annotations/, xml/, labels/, or beside it; those
///         that ImageSets/Main lists for the split, where there are such lists
/// Of splits the first of val, test and train that is named counts, or the one that was asked for:
/// where that is not there it is an error, and no other one is taken. A picture without a YOLO file
/// has no objects (as for its trainer), one without a VOC file is left out; both are noted. Errors:
/// kNotFound; kInvalidArgument for wrong labels, each with file and line, for none where a format
/// was asked for, and for more than one COCO file to choose from.
[[nodiscard]] Result<DataSet> read_data_set(const DataSetQuery& query);

/// By the name's end.
[[nodiscard]] bool is_clip_name(std::string_view path);

}  // namespace framemill
