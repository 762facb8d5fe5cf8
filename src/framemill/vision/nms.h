#pragma once

#include <cstddef>
#include <vector>

#include "framemill/core/answer.h"

namespace framemill {

/// Class-wise non-maximum suppression, in place: keeps a detection unless a better one of its class
/// overlaps it with IoU > `iou_max`. Result is ordered by score, best first, ties by place in the
/// input, and holds at most `detections_max`. At most `candidates_max` best candidates are looked
/// at; those with a score or box that is not finite are dropped. Pure, any thread; O(n log n + n *
/// kept).
void nms(std::vector<Detection>& detections, float iou_max, std::size_t detections_max = 300,
         std::size_t candidates_max = 30'000);

}  // namespace framemill
