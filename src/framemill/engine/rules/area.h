#pragma once

#include <vector>

#include "framemill/config/rule_settings.h"
#include "framemill/core/geometry.h"

namespace framemill {

/// The point of `box` that stands for the object, relative to the picture: 0..1. Requires a picture
/// with sides >= 1.
[[nodiscard]] RelativePoint anchor_point(const Box& box, BoxAnchor anchor, Size picture);

/// Whether `point` lies in the polygon (even-odd rule); a point on its border counts as inside.
/// Pure, O(corners).
[[nodiscard]] bool is_in_zone(RelativePoint point, const std::vector<RelativePoint>& zone);

/// Which side of a line a point lies on, seen from `from` towards `to` in a picture whose y runs
/// down.
enum class LineSide { kLeft, kOn, kRight };
[[nodiscard]] LineSide side_of(const LineSettings& line, RelativePoint point);

/// Whether the way from `a` to `b` passes the line between its two ends (ends included).
[[nodiscard]] bool does_cross(const LineSettings& line, RelativePoint a, RelativePoint b);

}  // namespace framemill
