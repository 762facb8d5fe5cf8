#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

/// The 80 classes of COCO detection in the order YOLO models use.
[[nodiscard]] std::vector<std::string> coco_labels();

/// The name of a class that has none: "class 7".
[[nodiscard]] std::string unnamed_label(int class_id);

/// All of them are what unnamed_label() gives: nobody has named them.
[[nodiscard]] bool has_no_names(const std::vector<std::string>& labels);

/// Reads class names by id from {0: 'person', 1: "cat's eye"} (Python, as Ultralytics writes it),
/// or from JSON: {"0": "person"} or ["person", "car"]. Ids that are left out get unnamed_label().
/// Errors: kInvalidArgument if it is none of these; the message shows where.
[[nodiscard]] Result<std::vector<std::string>> parse_labels(std::string_view text);

/// The class names in a model's own metadata: `names`, or `labels` as OpenVINO's exporters write
/// them
/// ("person traffic_light"). Empty if there are none. Errors: as parse_labels().
[[nodiscard]] Result<std::vector<std::string>> labels_from_metadata(
    const std::map<std::string, std::string>& metadata);

}  // namespace framemill
