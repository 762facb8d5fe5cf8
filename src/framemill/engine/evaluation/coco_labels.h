#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/engine/evaluation/label_problem.h"
#include "framemill/engine/evaluation/labelled_picture.h"
#include "framemill/engine/evaluation/match_table.h"

namespace framemill {

/// A COCO file of annotations. Class ids of the objects are places in `class_names`.
struct CocoLabels {
  std::vector<std::string> class_names;    ///< in the order of the category ids
  std::vector<std::int64_t> category_ids;  ///< of class_names
  std::vector<LabelledPicture> pictures;   ///< by ascending id; `name` is the file name
};

/// Reads {"images": [...], "annotations": [...], "categories": [...]}. Boxes in pixels of the
/// picture as its entry says (pictures without width and height are an error), areas as given, else
/// of the box. What is wrong with single entries goes to `problems` under `file`, with the entry's
/// place ("annotations[3].bbox"). Errors: kInvalidArgument, with `file` in front, where the text is
/// no such document. Pure, O(length).
[[nodiscard]] Result<CocoLabels> parse_coco_labels(std::string_view text, std::string_view file,
                                                   LabelProblems& problems);

/// Whether `text` looks like such a file, from its keys. Pure, O(length).
[[nodiscard]] bool looks_like_coco_labels(std::string_view text);

/// One detection of a COCO result file.
struct CocoResult {
  std::string picture_id;  ///< as LabelledPicture::id
  std::int64_t category_id = 0;
  ExactDetection detection;  ///< without its class
};

/// Reads [{"image_id": 1, "category_id": 18, "bbox": [x, y, width, height], "score": .9}, ...].
/// Errors: kInvalidArgument with `file` and the entry's place. Pure, O(length).
[[nodiscard]] Result<std::vector<CocoResult>> parse_coco_results(std::string_view text,
                                                                 std::string_view file);

}  // namespace framemill
