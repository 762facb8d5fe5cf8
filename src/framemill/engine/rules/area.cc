#include "framemill/engine/rules/area.h"

#include <algorithm>
#include <cmath>

namespace framemill {
namespace {

/// Twice the area of the triangle a, b, c; > 0 where c lies to the right of a -> b, as y runs down.
double turn(RelativePoint a, RelativePoint b, RelativePoint c) {
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

bool is_on_edge(RelativePoint p, RelativePoint a, RelativePoint b) {
  constexpr double kTiny = 1e-9;
  return std::abs(turn(a, b, p)) <= kTiny && p.x >= std::min(a.x, b.x) - kTiny &&
         p.x <= std::max(a.x, b.x) + kTiny && p.y >= std::min(a.y, b.y) - kTiny &&
         p.y <= std::max(a.y, b.y) + kTiny;
}

}  // namespace

RelativePoint anchor_point(const Box& box, BoxAnchor anchor, Size picture) {
  double y = (static_cast<double>(box.y1) + box.y2) / 2;
  if (anchor == BoxAnchor::kBottom) y = box.y2;
  if (anchor == BoxAnchor::kTop) y = box.y1;
  return {(static_cast<double>(box.x1) + box.x2) / 2 / picture.width, y / picture.height};
}

bool is_in_zone(RelativePoint point, const std::vector<RelativePoint>& zone) {
  bool is_inside = false;
  for (std::size_t i = 0, j = zone.size() - 1; i < zone.size(); j = i++) {
    const RelativePoint a = zone[i];
    const RelativePoint b = zone[j];
    if (is_on_edge(point, a, b)) return true;
    if ((a.y > point.y) == (b.y > point.y)) continue;
    if (point.x < a.x + (point.y - a.y) / (b.y - a.y) * (b.x - a.x)) is_inside = !is_inside;
  }
  return is_inside;
}

LineSide side_of(const LineSettings& line, RelativePoint point) {
  const double turned = turn(line.from, line.to, point);
  if (turned == 0) return LineSide::kOn;
  return turned > 0 ? LineSide::kRight : LineSide::kLeft;
}

bool does_cross(const LineSettings& line, RelativePoint a, RelativePoint b) {
  const double from = turn(a, b, line.from);
  const double to = turn(a, b, line.to);
  const bool is_between = (from <= 0 && to >= 0) || (from >= 0 && to <= 0);
  return is_between && side_of(line, a) != side_of(line, b);
}

}  // namespace framemill
