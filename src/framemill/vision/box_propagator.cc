#include "framemill/vision/box_propagator.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "framemill/vision/shift_scale.h"
#include "framemill/vision/sparse_flow.h"

// How a box is carried. Where no block of the picture under it changed it stays as it is. Else
// witnesses of its motion are gathered, from the decoder's vectors whose source lies in the box,
// or from nine points that are followed by sparse flow, started where a search for the whole box
// says. A robust fit takes the shift and scale on which most witnesses agree. Background inside
// the box would win that vote for thin or fast objects, so what stands still counts a quarter, and
// less where nothing changed. Vectors that most of the box does not share, or that luma
// contradicts, give way to flow. An object that enters the picture grows from the border.
// Figures: docs/decisions/0005-motion.md.
namespace framemill {
namespace {

constexpr int kWidthMax = 320;
constexpr int kLevelsMax = 4;
constexpr int kLevelSideMin = 16;
constexpr int kBlock = 8;  ///< side of the blocks in which change is looked for, finest pixels

/// Means of 2x2; an odd last column or row is left out.
void halve(const Thumbnail& from, Thumbnail& out) {
  out.size = {from.size.width / 2, from.size.height / 2};
  const auto width = static_cast<std::size_t>(out.size.width);
  out.luma.resize(width * static_cast<std::size_t>(out.size.height));
  for (int y = 0; y < out.size.height; ++y) {
    const std::uint8_t* const a =
        from.luma.data() + static_cast<std::ptrdiff_t>(2 * y) * from.size.width;
    const std::uint8_t* const b = a + from.size.width;
    std::uint8_t* const row = out.luma.data() + static_cast<std::size_t>(y) * width;
    for (std::size_t x = 0; x < width; ++x)
      row[x] =
          static_cast<std::uint8_t>((a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1] + 2) / 4);
  }
}

/// Where two thumbnails differ, block by block.
struct ChangeMap {
  int columns = 0, rows = 0;
  std::vector<std::uint16_t> sums;  ///< of absolute differences per block
  int threshold = 0;                ///< a block with more has changed
  int changed_count = 0;            ///< blocks

  [[nodiscard]] bool is_changed(int column, int row) const {
    return sums[static_cast<std::size_t>(row * columns + column)] > threshold;
  }
  [[nodiscard]] bool is_changed_at(float x, float y) const {
    return is_changed(std::clamp(static_cast<int>(x) / kBlock, 0, columns - 1),
                      std::clamp(static_cast<int>(y) / kBlock, 0, rows - 1));
  }
};

// A block's threshold is three times the median block's difference, which is the camera's noise or
// its own motion, within 1.5 and 4 a pixel.
constexpr int kNoiseFloor = 96;
constexpr int kNoiseCeiling = 256;

void find_changes(const Thumbnail& from, const Thumbnail& to, ChangeMap& map,
                  std::vector<std::uint16_t>& columns, std::vector<std::uint16_t>& sorted) {
  const auto [width, height] = from.size;
  map.columns = (width + kBlock - 1) / kBlock;
  map.rows = (height + kBlock - 1) / kBlock;
  map.sums.resize(static_cast<std::size_t>(map.columns * map.rows));
  columns.resize(static_cast<std::size_t>(map.columns) * kBlock);
  for (int row = 0; row < map.rows; ++row) {
    std::fill(columns.begin(), columns.end(), std::uint16_t{0});
    const int end = std::min(height, (row + 1) * kBlock);
    for (int y = row * kBlock; y < end; ++y) {
      const std::uint8_t* const a = from.luma.data() + static_cast<std::ptrdiff_t>(y) * width;
      const std::uint8_t* const b = to.luma.data() + static_cast<std::ptrdiff_t>(y) * width;
      std::uint16_t* const sum = columns.data();
      for (int x = 0; x < width; ++x) {
        const auto difference =
            static_cast<std::uint8_t>(std::max(a[x], b[x]) - std::min(a[x], b[x]));
        sum[x] = static_cast<std::uint16_t>(sum[x] + difference);
      }
    }
    std::uint16_t* const sums = map.sums.data() + static_cast<std::ptrdiff_t>(row) * map.columns;
    for (int column = 0; column < map.columns; ++column) {
      const std::uint16_t* const part =
          columns.data() + static_cast<std::ptrdiff_t>(column) * kBlock;
      int sum = 0;
      for (int x = 0; x < kBlock; ++x) sum += part[x];
      sums[column] = static_cast<std::uint16_t>(sum);
    }
  }
  sorted = map.sums;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  map.threshold = std::clamp(3 * *middle, kNoiseFloor, kNoiseCeiling);
  map.changed_count = static_cast<int>(std::count_if(
      map.sums.begin(), map.sums.end(), [&](std::uint16_t sum) { return sum > map.threshold; }));
}

struct Blocks {
  int left = 0, top = 0, right = 0, bottom = 0;  ///< right and bottom excluded
};

/// The blocks that `box` (finest pixels), made larger by `margin`, touches.
Blocks blocks_of(const Box& box, float margin, const ChangeMap& map) {
  const auto block = [](float at, int most) {
    return static_cast<int>(std::floor(std::clamp(at / kBlock, 0.0F, static_cast<float>(most))));
  };
  return {block(box.x1 - margin, map.columns), block(box.y1 - margin, map.rows),
          std::min(block(box.x2 + margin, map.columns) + 1, map.columns),
          std::min(block(box.y2 + margin, map.rows) + 1, map.rows)};
}

int count_changed(const ChangeMap& map, const Blocks& blocks) {
  int changed = 0;
  for (int row = blocks.top; row < blocks.bottom; ++row) {
    for (int column = blocks.left; column < blocks.right; ++column)
      changed += map.is_changed(column, row) ? 1 : 0;
  }
  return changed;
}

/// Share of the blocks of a strip that changed.
float changed_share(const ChangeMap& map, const Box& strip) {
  const Blocks blocks = blocks_of(strip, 0, map);
  const int count = (blocks.right - blocks.left) * (blocks.bottom - blocks.top);
  return count <= 0 ? 0
                    : static_cast<float>(count_changed(map, blocks)) / static_cast<float>(count);
}

Box moved(const Box& box, const ShiftScale& motion) {
  const float x = 0.5F * (box.x1 + box.x2) + motion.dx;
  const float y = 0.5F * (box.y1 + box.y2) + motion.dy;
  const float half_width = 0.5F * (box.x2 - box.x1) * motion.scale;
  const float half_height = 0.5F * (box.y2 - box.y1) * motion.scale;
  return {x - half_width, y - half_height, x + half_width, y + half_height};
}

/// An object that enters the picture shows more of itself: the side of its box that lies on the
/// border stays there as long as the picture changes along it.
void hold_at_border(const ChangeMap& map, Size size, const Box& before, Box& now) {
  constexpr float kNear = 1.5F;
  constexpr float kChangedMin = 0.5F;
  const auto w = static_cast<float>(size.width);
  const auto h = static_cast<float>(size.height);
  const Box free = now;
  const auto is_busy = [&](const Box& strip) { return changed_share(map, strip) >= kChangedMin; };
  if (before.x1 <= kNear && free.x1 > before.x1 &&
      is_busy({0, free.y1, std::max(1.0F, free.x1), free.y2}))
    now.x1 = before.x1;
  if (before.y1 <= kNear && free.y1 > before.y1 &&
      is_busy({free.x1, 0, free.x2, std::max(1.0F, free.y1)}))
    now.y1 = before.y1;
  if (before.x2 >= w - kNear && free.x2 < before.x2 &&
      is_busy({std::min(w - 1, free.x2), free.y1, w, free.y2}))
    now.x2 = before.x2;
  if (before.y2 >= h - kNear && free.y2 < before.y2 &&
      is_busy({free.x1, std::min(h - 1, free.y2), free.x2, h}))
    now.y2 = before.y2;
}

constexpr int kPatchMax = 16;  ///< side of the patch that is searched for
constexpr int kPatchMin = 4;
constexpr int kSearchMax = 9;  ///< pixels of the patch's level

/// A first guess of a box's shift, finest pixels.
struct Guess {
  float dx = 0, dy = 0;
  float quality = 0;  ///< 0..1: how much less differs there than where the box was
};

/// Searches for a box's inner part on the level where it has at most kPatchMax pixels a side: by
/// whole pixels of that level; up to half of it may leave the picture. Nearer places are likelier,
/// by one of luma a pixel, which keeps flat boxes in place.
Guess search_box(std::span<const Thumbnail> from, std::span<const Thumbnail> to, const Box& box) {
  std::size_t level = 0;
  float scale = 1;
  const float side = std::max(box.x2 - box.x1, box.y2 - box.y1) * 0.8F;
  while (level + 1 < from.size() && side * scale > kPatchMax) {
    ++level;
    scale *= 0.5F;
  }
  const Thumbnail& a = from[level];
  const Thumbnail& b = to[level];
  const auto span_of = [&](float low, float high, int size) {
    const float middle = 0.5F * (low + high) * scale;
    const float half = std::clamp(0.4F * (high - low) * scale, 0.5F * kPatchMin, 0.5F * kPatchMax);
    return std::pair(std::max(0, static_cast<int>(std::lround(middle - half))),
                     std::min(size, static_cast<int>(std::lround(middle + half))));
  };
  const auto [left, right] = span_of(box.x1, box.x2, a.size.width);
  const auto [top, bottom] = span_of(box.y1, box.y2, a.size.height);
  if (right - left < kPatchMin || bottom - top < kPatchMin) return {};
  const int width = right - left;
  const int height = bottom - top;
  const int distance_cost = width * height;
  // Of the patch what is in the picture there, as if it were all of it.
  const auto difference = [&, left = left, top = top](int dx, int dy, int most) {
    const int x_begin = std::max(0, -(left + dx));
    const int x_end = std::min(width, b.size.width - (left + dx));
    const int y_begin = std::max(0, -(top + dy));
    const int y_end = std::min(height, b.size.height - (top + dy));
    const int penalty = distance_cost * (std::abs(dx) + std::abs(dy));
    int sum = 0;
    for (int y = y_begin; y < y_end && sum + penalty < most; ++y) {
      const std::uint8_t* const p =
          a.luma.data() + static_cast<std::ptrdiff_t>(top + y) * a.size.width + left;
      const std::uint8_t* const q =
          b.luma.data() + static_cast<std::ptrdiff_t>(top + y + dy) * b.size.width + left + dx;
      for (int x = x_begin; x < x_end; ++x) sum += std::abs(p[x] - q[x]);
    }
    return sum * width * height / ((x_end - x_begin) * (y_end - y_begin)) + penalty;
  };
  const int unmoved = difference(0, 0, std::numeric_limits<int>::max());
  int best = unmoved;
  int best_x = 0, best_y = 0;
  const int up = std::max(-kSearchMax, -top - height / 2);
  const int down = std::min(kSearchMax, a.size.height - bottom + height / 2);
  const int back = std::max(-kSearchMax, -left - width / 2);
  const int on = std::min(kSearchMax, a.size.width - right + width / 2);
  for (int dy = up; dy <= down; ++dy) {
    for (int dx = back; dx <= on; ++dx) {
      const int sum = difference(dx, dy, best);
      if (sum >= best) continue;
      best = sum;
      best_x = dx;
      best_y = dy;
    }
  }
  if (best_x == 0 && best_y == 0) return {};
  const int rest = best - distance_cost * (std::abs(best_x) + std::abs(best_y));
  return {static_cast<float>(best_x) / scale, static_cast<float>(best_y) / scale,
          1 - static_cast<float>(rest) / static_cast<float>(unmoved)};
}

/// Luma between samples; the border is continued.
float sample(const Thumbnail& luma, float x, float y) {
  const auto [width, height] = luma.size;
  x = std::clamp(x - 0.5F, 0.0F, static_cast<float>(width - 1));
  y = std::clamp(y - 0.5F, 0.0F, static_cast<float>(height - 1));
  const int column = std::min(static_cast<int>(x), std::max(0, width - 2));
  const int row = std::min(static_cast<int>(y), std::max(0, height - 2));
  const int right = width > 1 ? 1 : 0;
  const int below = height > 1 ? width : 0;
  const float u = x - static_cast<float>(column);
  const float v = y - static_cast<float>(row);
  const std::uint8_t* const p =
      luma.luma.data() + static_cast<std::ptrdiff_t>(row) * width + column;
  return (1 - v) * ((1 - u) * p[0] + u * p[right]) +
         v * ((1 - u) * p[below] + u * p[below + right]);
}

constexpr int kProbes = 12;  ///< a side

/// Mean absolute difference of luma between the inner part of a box and the place where `motion`
/// takes it, on the level where it has about kProbes pixels a side.
float residual_of(std::span<const Thumbnail> from, std::span<const Thumbnail> to, const Box& box,
                  const ShiftScale& motion) {
  std::size_t level = 0;
  float scale = 1;
  while (level + 1 < from.size() && std::sqrt(area(box)) * scale > 1.5F * kProbes) {
    ++level;
    scale *= 0.5F;
  }
  const float x0 = 0.5F * (box.x1 + box.x2);
  const float y0 = 0.5F * (box.y1 + box.y2);
  float sum = 0;
  for (int i = 0; i < kProbes; ++i) {
    const float y = (box.y2 - box.y1) * 0.8F * ((static_cast<float>(i) + 0.5F) / kProbes - 0.5F);
    for (int j = 0; j < kProbes; ++j) {
      const float x = (box.x2 - box.x1) * 0.8F * ((static_cast<float>(j) + 0.5F) / kProbes - 0.5F);
      sum += std::abs(sample(from[level], (x0 + x) * scale, (y0 + y) * scale) -
                      sample(to[level], (x0 + motion.dx + motion.scale * x) * scale,
                             (y0 + motion.dy + motion.scale * y) * scale));
    }
  }
  return sum / (kProbes * kProbes);
}

constexpr int kGrid = 3;         ///< points a side of a box
constexpr float kInset = 0.08F;  ///< of a box's side, that its points keep away from its edge

/// What one way of following says of a box.
struct Verdict {
  BoxMotionKind kind = BoxMotionKind::kLost;
  ShiftScaleFit fit;
  float residual = 255;  ///< of luma where it takes the box
};

/// Whether vectors need no second opinion: much of the box agrees with them, and luma does.
bool is_believable(const Verdict& vectors, float unmoved) {
  constexpr float kSupportMin = 0.3F;
  constexpr float kResidualMax = 4;
  constexpr float kResidualShare = 0.8F;
  return vectors.kind == BoxMotionKind::kVectors && vectors.fit.support >= kSupportMin &&
         (vectors.residual <= kResidualMax || vectors.residual <= kResidualShare * unmoved);
}

// The expected loss, fitted to 33,000 steps of sure boxes that matched the model's before the step
// (24 clips, key frames each 5th and 10th sample): 1.8 % of those moved did not after it, by tenths
// of the prediction from .1 to 9 % against .0 to 9 % predicted. Nearly all of those lost were.
constexpr float kLostDrift = 0.8F;

float drift_of(const Verdict& verdict, const Box& box) {
  const ShiftScale& motion = verdict.fit.motion;
  const float shift = std::sqrt((motion.dx * motion.dx + motion.dy * motion.dy) / area(box));
  const float dissent = 1 - verdict.fit.support;
  const float difference = std::min(verdict.residual / 16, 3.0F);
  return std::clamp(0.003F + 0.03F * std::min(shift, 0.5F) + 0.19F * dissent * dissent +
                        0.085F * difference * difference,
                    0.0F, 1.0F);
}

void scale_boxes(Size from, Size to, std::span<Detection> detections) {
  const float x = static_cast<float>(to.width) / static_cast<float>(from.width);
  const float y = static_cast<float>(to.height) / static_cast<float>(from.height);
  for (Detection& detection : detections) {
    const Box& box = detection.box;
    detection.box = clip({x * box.x1, y * box.y1, x * box.x2, y * box.y2}, to);
  }
}

}  // namespace

struct BoxPropagator::Scratch {
  MotionMethod method = MotionMethod::kAuto;
  ChangeMap changes;
  std::vector<std::uint16_t> columns, sorted;
  std::vector<FlowPoint> points;
  std::vector<PlaceMotion> places;
  std::vector<std::uint8_t> explained;  ///< by block
  std::vector<Box> boxes;               ///< before and after, finest pixels

  void choose_points(const Thumbnail& from, const Box& box);
  void add_place(const Box& box, float x, float y, float dx, float dy, float weight);
  ShiftScaleFit follow_points(const MotionFrame& from, const MotionFrame& to, const Box& box);
  ShiftScaleFit follow_vectors(const MotionField& field, const Box& box, float scale_x,
                               float scale_y);
  [[nodiscard]] ShiftScaleFit fit(const Box& box) const;
  [[nodiscard]] float unexplained(Size luma);
};

/// The points of a box: in each cell of a grid the most structured of four, those which changed
/// first.
void BoxPropagator::Scratch::choose_points(const Thumbnail& from, const Box& box) {
  points.clear();
  const float width = (box.x2 - box.x1) * (1 - 2 * kInset) / kGrid;
  const float height = (box.y2 - box.y1) * (1 - 2 * kInset) / kGrid;
  const float left = box.x1 + (box.x2 - box.x1) * kInset;
  const float top = box.y1 + (box.y2 - box.y1) * kInset;
  for (int row = 0; row < kGrid; ++row) {
    for (int column = 0; column < kGrid; ++column) {
      float best = -1;
      FlowPoint chosen;
      for (const float v : {0.27F, 0.73F}) {
        for (const float u : {0.27F, 0.73F}) {
          const float x = left + width * (static_cast<float>(column) + u);
          const float y = top + height * (static_cast<float>(row) + v);
          float strength = corner_strength(from, x, y);
          if (!changes.is_changed_at(x, y)) strength *= 0.2F;
          if (strength <= best) continue;
          best = strength;
          chosen.x = x;
          chosen.y = y;
        }
      }
      points.push_back(chosen);
    }
  }
}

/// One witness of a box's motion, from (x, y) in `from`. What counts less: the box's rim, where the
/// background is; what stands still; what lies where nothing changed.
void BoxPropagator::Scratch::add_place(const Box& box, float x, float y, float dx, float dy,
                                       float weight) {
  constexpr float kStill = 0.3F;
  const float from_x = x - 0.5F * (box.x1 + box.x2);
  const float from_y = y - 0.5F * (box.y1 + box.y2);
  const float u = from_x / (box.x2 - box.x1);
  const float v = from_y / (box.y2 - box.y1);
  weight *= std::max(0.05F, 1 - 2 * (u * u + v * v));
  if (dx * dx + dy * dy < kStill * kStill) weight *= 0.25F;
  if (!changes.is_changed_at(x, y)) weight *= 0.3F;
  places.push_back({from_x, from_y, dx, dy, weight});
}

ShiftScaleFit BoxPropagator::Scratch::fit(const Box& box) const {
  constexpr float kScalePrior = 0.1F;
  return fit_shift_scale(places, 1 + 0.06F * std::sqrt(area(box)), kScalePrior * area(box));
}

ShiftScaleFit BoxPropagator::Scratch::follow_points(const MotionFrame& from, const MotionFrame& to,
                                                    const Box& box) {
  constexpr float kBackErrorMax = 1;
  constexpr float kResidualScale = 8;
  choose_points(from.luma[0], box);
  const Guess guess = search_box(from.luma, to.luma, box);
  int coarsest = 0;
  while (coarsest + 1 < static_cast<int>(from.luma.size()) &&
         0.7F * std::sqrt(area(box)) > static_cast<float>(kFlowWindow << (coarsest + 1)))
    ++coarsest;
  for (FlowPoint& point : points) {
    point.dx = guess.dx;
    point.dy = guess.dy;
  }
  track_points(from.luma, to.luma, coarsest, points);
  places.clear();
  for (const FlowPoint& point : points) {
    if (!point.is_tracked || point.back_error > kBackErrorMax) continue;
    const float residual = point.residual / kResidualScale;
    add_place(box, point.x, point.y, point.dx, point.dy, 1 / (1 + residual * residual));
  }
  // Where a fast object's points were lost, the search for all of it is what is left.
  if (guess.quality > 0.01F)
    places.push_back({.dx = guess.dx, .dy = guess.dy, .weight = 2 * guess.quality});
  return fit(box);
}

ShiftScaleFit BoxPropagator::Scratch::follow_vectors(const MotionField& field, const Box& box,
                                                     float scale_x, float scale_y) {
  constexpr std::size_t kPlacesMax = 48;
  constexpr float kInner = 0.8F;  ///< of a box's side, from which vectors are taken
  places.clear();
  const float x0 = 0.5F * (box.x1 + box.x2);
  const float y0 = 0.5F * (box.y1 + box.y2);
  const float half_width = 0.5F * kInner * (box.x2 - box.x1);
  const float half_height = 0.5F * kInner * (box.y2 - box.y1);
  const float reach = 12 + 0.5F * std::sqrt(area(box));  // how far a cell's content may have come
  const float cell_x = static_cast<float>(field.cell_px) * scale_x;
  const float cell_y = static_cast<float>(field.cell_px) * scale_y;
  const auto index = [](float at, int count) {
    return static_cast<int>(std::floor(std::clamp(at, 0.0F, static_cast<float>(count))));
  };
  const int left = index((box.x1 - reach) / cell_x, field.columns);
  const int right = index((box.x2 + reach) / cell_x + 1, field.columns);
  const int top = index((box.y1 - reach) / cell_y, field.rows);
  const int bottom = index((box.y2 + reach) / cell_y + 1, field.rows);
  for (int row = top; row < bottom; ++row) {
    for (int column = left; column < right; ++column) {
      const MotionCell& cell = field.at(column, row);
      if (cell.kind == MotionCell::Kind::kUnknown) continue;
      const float dx = cell.dx * scale_x;
      const float dy = cell.dy * scale_y;
      const float x = (static_cast<float>(column) + 0.5F) * cell_x - dx;
      const float y = (static_cast<float>(row) + 0.5F) * cell_y - dy;
      if (std::abs(x - x0) < half_width && std::abs(y - y0) < half_height)  // false for NaN
        add_place(box, x, y, dx, dy, 1);
    }
  }
  if (places.size() > kPlacesMax) {
    for (std::size_t i = 0; i < kPlacesMax; ++i) places[i] = places[i * places.size() / kPlacesMax];
    places.resize(kPlacesMax);
  }
  return fit(box);
}

/// Changed blocks outside `boxes`, in objects' worth.
float BoxPropagator::Scratch::unexplained(Size luma) {
  constexpr float kInland = 0.3F;  ///< weight of what is not near the border
  constexpr int kNearBlocks = 2;
  constexpr float kUsualObject = 0.01F;  ///< of the picture, where no object is known
  if (changes.changed_count == 0) return 0;
  float object_area = 0;
  int objects = 0;
  explained.assign(changes.sums.size(), 0);
  for (const Box& box : boxes) {
    const Blocks blocks = blocks_of(box, 0.5F * kBlock, changes);
    for (int row = blocks.top; row < blocks.bottom; ++row) {
      for (int column = blocks.left; column < blocks.right; ++column)
        explained[static_cast<std::size_t>(row * changes.columns + column)] = 1;
    }
    object_area += area(box);
    objects += area(box) > 0 ? 1 : 0;
  }
  const float picture = static_cast<float>(luma.width) * static_cast<float>(luma.height);
  object_area = objects == 0 ? kUsualObject * picture : object_area / static_cast<float>(objects);
  float changed = 0;
  for (int row = 0; row < changes.rows; ++row) {
    const int edge_y = std::min(row, changes.rows - 1 - row);
    for (int column = 0; column < changes.columns; ++column) {
      if (!changes.is_changed(column, row)) continue;
      if (explained[static_cast<std::size_t>(row * changes.columns + column)] != 0) continue;
      const int edge = std::min({edge_y, column, changes.columns - 1 - column});
      changed += edge < kNearBlocks ? 1.0F : kInland;
    }
  }
  constexpr float kBlockArea = kBlock * kBlock;
  return changed * kBlockArea / std::max(object_area, kBlockArea);
}

BoxPropagator::BoxPropagator(MotionMethod method) : scratch_(std::make_unique<Scratch>()) {
  scratch_->method = method;
}
BoxPropagator::~BoxPropagator() = default;
BoxPropagator::BoxPropagator(BoxPropagator&&) noexcept = default;
BoxPropagator& BoxPropagator::operator=(BoxPropagator&&) noexcept = default;

std::shared_ptr<const MotionFrame> make_motion_frame(const Picture& picture,
                                                     std::shared_ptr<const MotionField> vectors) {
  auto frame = std::make_shared<MotionFrame>();
  frame->picture_size = picture.size;
  frame->luma.reserve(kLevelsMax);
  write_thumbnail(picture, kWidthMax, frame->luma.emplace_back());
  while (frame->luma.size() < kLevelsMax) {
    const Size last = frame->luma.back().size;
    if (std::min(last.width, last.height) < 2 * kLevelSideMin) break;
    Thumbnail half;
    halve(frame->luma.back(), half);
    frame->luma.push_back(std::move(half));
  }
  frame->vectors = std::move(vectors);
  return frame;
}

void BoxPropagator::propagate(const MotionFrame& from, const MotionFrame& to,
                              std::span<Detection> detections, PropagationStep& step) {
  step.boxes.assign(detections.size(), {});
  step.unexplained = 0;
  if (from.picture_size != to.picture_size) {
    scale_boxes(from.picture_size, to.picture_size, detections);
    for (BoxMotion& motion : step.boxes) motion = {BoxMotionKind::kLost, 1};
    step.unexplained = 1;
    return;
  }
  Scratch& s = *scratch_;
  const Size luma = from.luma[0].size;
  find_changes(from.luma[0], to.luma[0], s.changes, s.columns, s.sorted);
  const float scale_x =
      static_cast<float>(luma.width) / static_cast<float>(from.picture_size.width);
  const float scale_y =
      static_cast<float>(luma.height) / static_cast<float>(from.picture_size.height);
  const bool has_vectors = s.method != MotionMethod::kFlow && to.vectors != nullptr &&
                           to.vectors->picture_size == to.picture_size;
  s.boxes.clear();
  for (std::size_t i = 0; i < detections.size(); ++i) {
    Box& box = detections[i].box;
    const Box before{box.x1 * scale_x, box.y1 * scale_y, box.x2 * scale_x, box.y2 * scale_y};
    s.boxes.push_back(before);
    if (count_changed(s.changes, blocks_of(before, 1, s.changes)) == 0) continue;
    Verdict verdict;
    if (area(before) > 0) {
      const float unmoved = residual_of(from.luma, to.luma, before, {});
      if (has_vectors) {
        verdict.kind = BoxMotionKind::kVectors;
        verdict.fit = s.follow_vectors(*to.vectors, before, scale_x, scale_y);
        verdict.residual = residual_of(from.luma, to.luma, before, verdict.fit.motion);
      }
      if (s.method == MotionMethod::kVectors) {
        if (verdict.residual > unmoved) verdict = {};
      } else if (!is_believable(verdict, unmoved)) {
        verdict.kind = BoxMotionKind::kFlow;
        verdict.fit = s.follow_points(from, to, before);
        verdict.residual = residual_of(from.luma, to.luma, before, verdict.fit.motion);
      }
    }
    if (verdict.kind == BoxMotionKind::kLost || verdict.fit.support <= 0) {
      step.boxes[i] = {BoxMotionKind::kLost, kLostDrift};
      box = clip(box, from.picture_size);
      continue;
    }
    Box after = moved(before, verdict.fit.motion);
    hold_at_border(s.changes, luma, before, after);
    s.boxes.push_back(after);
    box = clip({after.x1 / scale_x, after.y1 / scale_y, after.x2 / scale_x, after.y2 / scale_y},
               from.picture_size);
    step.boxes[i] = {verdict.kind, drift_of(verdict, before)};
  }
  step.unexplained = s.unexplained(luma);
}

}  // namespace framemill
