#pragma once

// The objects of one camera where only parts of its picture are looked at; of region_inference.cc.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "framemill/core/answer.h"
#include "framemill/core/object_doubt.h"
#include "framemill/vision/box_propagator.h"
#include "framemill/vision/letterbox.h"

namespace framemill {

using Detections = std::vector<Detection>;

/// Overlap from which on a detection is the object that was carried there.
inline constexpr float kSameObjectIou = .3F;
inline constexpr float kSure = .5F;
inline constexpr int kBlock = 8;  ///< pixels of the thumbnail, in which changes are looked for
inline constexpr int kChangedSum = 192;  ///< of absolute luma differences in a block
inline constexpr float kInside = 3;  ///< a box so near to a cut edge is not believed, model pixels

/// A sampled frame: what carries boxes to it, its pixels as the model sees them, what it finds.
struct Shot {
  std::shared_ptr<const MotionFrame> motion;
  std::vector<std::uint8_t> pixels;  ///< three planes of `plan.resized`
  Detections found;                  ///< by full inference, source pixels, candidates too
};

struct Clip {
  std::string name;
  Size source;
  Letterbox plan;
  std::vector<Shot> shots;
};

/// A part of a camera's picture that wants to be looked at.
struct Region {
  std::size_t camera = 0;
  Box crop;               ///< model pixels from the picture's corner, whole numbers
  double worth = 0;       ///< wrong detections x age that an inference would spare
  int left = 0, top = 0;  ///< its place in the packed input
};

inline double visibility(float score) {
  return std::clamp((static_cast<double>(score) - .1) / .3, 0.0, 1.0);
}
/// The objects of one camera, as vision/object_state.h keeps them, each with an age of its own.
class RegionState {
 public:
  void advance(const Shot* before, const Shot& now) {
    ++age_;
    if (before == nullptr) return;
    propagator_.propagate(*before->motion, *now.motion, objects_, step_);
    unexplained_ += step_.unexplained;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (area(objects_[i].box) <= 0) continue;
      drifts_[kept] = drifts_[i] + step_.boxes[i].drift;
      ages_[kept] = ages_[i] + 1;
      objects_[kept++] = objects_[i];
    }
    resize(kept);
    note_changes(*before->motion, *now.motion);
  }

  [[nodiscard]] ObjectDoubt doubt() const {
    ObjectDoubt doubt{.age = age_, .unexplained = unexplained_};
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      const double weight = visibility(objects_[i].score);
      doubt.objects += weight;
      doubt.drift += weight * std::min(1.0F, drifts_[i]);
    }
    return doubt;
  }
  [[nodiscard]] const Detections& objects() const { return objects_; }

  void see_all(const Detections& found, bool has_memory) {
    Detections objects = found;
    std::vector<bool> is_known(objects.size());
    if (has_memory) {
      for (const auto& [old_index, new_index] : pair_up(objects_, objects)) {
        is_known[new_index] = true;
        objects[new_index].score = .5F * (objects[new_index].score + objects_[old_index].score);
      }
      for (std::size_t i = 0; i < objects.size(); ++i)
        if (!is_known[i]) distrust(objects[i]);
    }
    objects_ = std::move(objects);
    drifts_.assign(objects_.size(), 0);
    ages_.assign(objects_.size(), 0);
    age_ = 0;
    unexplained_ = 0;
    std::ranges::fill(heat_, 0.0F);
  }

  /// `found` lies whole inside `seen`, source pixels; of objects whole inside it nothing else is
  /// left.
  void see_part(const Detections& found, const Box& seen, Size source) {
    std::vector<std::size_t> inside;
    Detections examined;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (!is_within(objects_[i].box, seen, source)) continue;
      inside.push_back(i);
      examined.push_back(objects_[i]);
    }
    std::vector<bool> is_new(found.size(), true), is_gone(objects_.size(), false);
    for (const std::size_t i : inside) is_gone[i] = true;
    for (const auto& [old_index, new_index] : pair_up(examined, found)) {
      const std::size_t i = inside[old_index];
      is_new[new_index] = is_gone[i] = false;
      objects_[i].box = found[new_index].box;
      objects_[i].score = .5F * (objects_[i].score + found[new_index].score);
      drifts_[i] = 0;
      ages_[i] = 0;
    }
    Detections added;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const bool is_other = std::ranges::any_of(objects_, [&](const Detection& d) {
        return d.class_id == found[i].class_id && iou(d.box, found[i].box) >= kSameObjectIou;
      });
      if (!is_new[i] || is_other) continue;
      added.push_back(found[i]);
      distrust(added.back());
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (is_gone[i]) continue;
      objects_[kept] = objects_[i], drifts_[kept] = drifts_[i], ages_[kept++] = ages_[i];
    }
    resize(kept);
    objects_.insert(objects_.end(), added.begin(), added.end());
    resize(objects_.size());
    forget_changes(seen, source);
  }

  /// Appends what wants to be looked at, with `context` model pixels around it.
  void propose(std::size_t camera, const Clip& clip, int context, std::vector<Region>& regions) {
    const auto scale = static_cast<float>(clip.plan.scale);
    std::vector<Region> mine;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      const double expected =
          visibility(objects_[i].score) * std::min(1.0F, drifts_[i]) + .005 * ages_[i];
      if (ages_[i] == 0) continue;
      const Box& b = objects_[i].box;
      mine.push_back(
          {camera, {b.x1 * scale, b.y1 * scale, b.x2 * scale, b.y2 * scale}, expected * ages_[i]});
    }
    propose_changes(camera, clip, mine);
    for (Region& region : mine) region.crop = grown(region.crop, context, clip.plan.resized);
    merge(mine);
    regions.insert(regions.end(), mine.begin(), mine.end());
  }

  /// Not cut off by the edge of `seen`, unless that is the picture's.
  static bool is_within(const Box& box, const Box& seen, Size source) {
    const auto w = static_cast<float>(source.width), h = static_cast<float>(source.height);
    const float margin = kInside * w / 640;
    return (seen.x1 <= 0 || box.x1 > seen.x1 + margin) &&
           (seen.y1 <= 0 || box.y1 > seen.y1 + margin) &&
           (seen.x2 >= w || box.x2 < seen.x2 - margin) &&
           (seen.y2 >= h || box.y2 < seen.y2 - margin) && box.x2 > seen.x1 && box.x1 < seen.x2 &&
           box.y2 > seen.y1 && box.y1 < seen.y2;
  }

 private:
  using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;

  static Pairs pair_up(const Detections& before, const Detections& now) {
    std::vector<std::tuple<float, std::size_t, std::size_t>> all;
    for (std::size_t i = 0; i < before.size(); ++i) {
      for (std::size_t j = 0; j < now.size(); ++j) {
        const float overlap = iou(before[i].box, now[j].box);
        if (before[i].class_id == now[j].class_id && overlap >= kSameObjectIou)
          all.emplace_back(-overlap, i, j);
      }
    }
    std::ranges::sort(all);
    std::vector<bool> is_old_used(before.size()), is_new_used(now.size());
    Pairs pairs;
    for (const auto& [overlap, i, j] : all) {
      if (is_old_used[i] || is_new_used[j]) continue;
      is_old_used[i] = is_new_used[j] = true;
      pairs.emplace_back(i, j);
    }
    return pairs;
  }

  static void distrust(Detection& d) {
    if (d.score < kSure) d.score = std::max(0.0F, d.score - .4F * (kSure - d.score));
  }

  static Box grown(const Box& b, int context, Size size) {
    const auto c = static_cast<float>(context);
    const Box wide{std::floor(b.x1 - c), std::floor(b.y1 - c), std::ceil(b.x2 + c),
                   std::ceil(b.y2 + c)};
    return clip(wide, size);
  }

  /// Regions that share pixels become one where that costs no more than both.
  static void merge(std::vector<Region>& regions) {
    for (std::size_t i = 0; i < regions.size(); ++i) {
      for (std::size_t j = i + 1; j < regions.size();) {
        const Box &a = regions[i].crop, &b = regions[j].crop;
        const Box both{std::min(a.x1, b.x1), std::min(a.y1, b.y1), std::max(a.x2, b.x2),
                       std::max(a.y2, b.y2)};
        if (area(both) > 1.05F * (area(a) + area(b))) {
          ++j;
          continue;
        }
        regions[i].crop = both;
        regions[i].worth += regions[j].worth;
        regions.erase(regions.begin() + static_cast<std::ptrdiff_t>(j));
        j = i + 1;
      }
    }
  }

  void note_changes(const MotionFrame& from, const MotionFrame& to) {
    const Thumbnail &a = from.luma[0], &b = to.luma[0];
    columns_ = a.size.width / kBlock, rows_ = a.size.height / kBlock;
    heat_.resize(static_cast<std::size_t>(columns_ * rows_));
    if (a.size != b.size) return;
    for (int row = 0; row < rows_; ++row) {
      for (int column = 0; column < columns_; ++column) {
        int sum = 0;
        for (int y = row * kBlock; y < (row + 1) * kBlock; ++y)
          for (int x = column * kBlock; x < (column + 1) * kBlock; ++x)
            sum += std::abs(a.luma[static_cast<std::size_t>(y * a.size.width + x)] -
                            b.luma[static_cast<std::size_t>(y * a.size.width + x)]);
        if (sum <= kChangedSum || is_explained(column, row, to)) continue;
        const int edge = std::min({row, column, rows_ - 1 - row, columns_ - 1 - column});
        heat_[static_cast<std::size_t>(row * columns_ + column)] += edge < 2 ? 1 : .3F;
      }
    }
  }

  [[nodiscard]] bool is_explained(int column, int row, const MotionFrame& frame) const {
    const float scale =
        static_cast<float>(frame.luma[0].size.width) / static_cast<float>(frame.picture_size.width);
    const float x = static_cast<float>(column * kBlock), y = static_cast<float>(row * kBlock);
    return std::ranges::any_of(objects_, [&](const Detection& d) {
      return d.box.x1 * scale < x + 1.5F * kBlock && d.box.x2 * scale > x - .5F * kBlock &&
             d.box.y1 * scale < y + 1.5F * kBlock && d.box.y2 * scale > y - .5F * kBlock;
    });
  }

  /// Connected blocks that changed.
  void propose_changes(std::size_t camera, const Clip& clip, std::vector<Region>& mine) {
    double mean_area = 0;
    for (const Detection& d : objects_)
      mean_area += area(d.box) / static_cast<double>(objects_.size());
    const double picture = static_cast<double>(clip.source.width) * clip.source.height;
    if (objects_.empty()) mean_area = .01 * picture;
    const double object_blocks = std::max(1.0, mean_area / picture * columns_ * rows_);
    std::vector<bool> is_seen(heat_.size());
    for (std::size_t first = 0; first < heat_.size(); ++first) {
      if (is_seen[first] || heat_[first] <= 0) continue;
      std::vector<std::size_t> open{first};
      is_seen[first] = true;
      double heat = 0;
      int left = columns_, top = rows_, right = 0, bottom = 0;
      while (!open.empty()) {
        const auto at = static_cast<int>(open.back());
        open.pop_back();
        heat += heat_[static_cast<std::size_t>(at)];
        const int x = at % columns_, y = at / columns_;
        left = std::min(left, x), right = std::max(right, x + 1);
        top = std::min(top, y), bottom = std::max(bottom, y + 1);
        for (int v = std::max(0, y - 1); v < std::min(rows_, y + 2); ++v) {
          for (int u = std::max(0, x - 1); u < std::min(columns_, x + 2); ++u) {
            const auto next = static_cast<std::size_t>(v * columns_ + u);
            if (is_seen[next] || heat_[next] <= 0) continue;
            is_seen[next] = true;
            open.push_back(next);
          }
        }
      }
      const float sx = static_cast<float>(clip.plan.resized.width) / static_cast<float>(columns_);
      const float sy = static_cast<float>(clip.plan.resized.height) / static_cast<float>(rows_);
      mine.push_back(
          {camera,
           {sx * static_cast<float>(left), sy * static_cast<float>(top),
            sx * static_cast<float>(right), sy * static_cast<float>(bottom)},
           .3 * heat / object_blocks * static_cast<double>(std::max<std::int64_t>(1, age_))});
    }
  }

  void forget_changes(const Box& seen, Size source) {
    const auto to_block = [](float at, int side, int count) {
      return at / static_cast<float>(side) * static_cast<float>(count);
    };
    double before = 0, after = 0;
    for (int row = 0; row < rows_; ++row) {
      for (int column = 0; column < columns_; ++column) {
        float& heat = heat_[static_cast<std::size_t>(row * columns_ + column)];
        before += heat;
        const float x = static_cast<float>(column) + .5F, y = static_cast<float>(row) + .5F;
        if (x > to_block(seen.x1, source.width, columns_) &&
            x < to_block(seen.x2, source.width, columns_) &&
            y > to_block(seen.y1, source.height, rows_) &&
            y < to_block(seen.y2, source.height, rows_))
          heat = 0;
        after += heat;
      }
    }
    if (before > 0) unexplained_ *= after / before;
  }

  void resize(std::size_t count) {
    objects_.resize(count);
    drifts_.resize(count);
    ages_.resize(count);
  }

  BoxPropagator propagator_{MotionMethod::kAuto};
  PropagationStep step_;
  Detections objects_;
  std::vector<float> drifts_;
  std::vector<int> ages_;
  std::int64_t age_ = 0;
  double unexplained_ = 0;
  int columns_ = 0, rows_ = 0;
  std::vector<float> heat_;  ///< unexplained change, by block of the thumbnail
};

}  // namespace framemill
