#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framemill/engine/evaluation/label_problem.h"
#include "framemill/engine/evaluation/labelled_picture.h"

namespace framemill {

/// One object of a VOC file; its class is still a name.
struct VocObject {
  std::string class_name;
  LabelledObject object;  ///< box in pixels as written; difficult ones are ignored
};

/// A Pascal VOC annotation.
struct VocLabels {
  std::string file_name;  ///< of the picture, as written; may be empty
  Size size;              ///< what the boxes are measured in; 0x0: not said
  std::vector<VocObject> objects;
};

/// Reads <annotation> with <size> and <object>s. Boxes are taken as they stand, xmax - xmin wide,
/// as labelling tools write them. What is wrong goes to `problems` under `file` with the line.
/// Errors: kInvalidArgument, with `file` and line in front, where the text is no such document.
/// Pure, O(length); entities and DTDs are not followed.
[[nodiscard]] Result<VocLabels> parse_voc_labels(std::string_view text, std::string_view file,
                                                 LabelProblems& problems);

}  // namespace framemill
