#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "framemill/engine/evaluation/label_problem.h"
#include "framemill/engine/evaluation/labelled_picture.h"

namespace framemill {

/// Reads YOLO labels: a line an object, "class cx cy width height" in shares of the picture, or
/// "class x1 y1 x2 y2 x3 y3 ..." for an outline, whose box is taken. Empty lines are none. Boxes
/// and areas come in shares of the sides. `class_count`: of the data set, where it is known. What
/// is wrong (not numbers, values outside 0..1, boxes without area, unknown classes) goes to
/// `problems` under `file`, line by line. Pure, O(length).
[[nodiscard]] std::vector<LabelledObject> parse_yolo_labels(std::string_view text,
                                                            std::string_view file,
                                                            std::optional<int> class_count,
                                                            LabelProblems& problems);

}  // namespace framemill
