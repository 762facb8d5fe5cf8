#include "framemill/vision/nms.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <unordered_map>
#include <utility>

namespace framemill {
namespace {

// Greedy suppression costs one IoU per candidate and kept box of its class. The kept boxes of a
// class lie in blocks, coordinate by coordinate, so that the compiler tests a block at once:
// without division, and with slack, since only iou() itself decides. Blocks are as long as GCC
// vectorises at -O2.
constexpr std::size_t kBlock = 16;
constexpr float kSlack = 1e-4F;

struct BoxBlock {
  // Unused places hold a box without area far from any other.
  std::array<float, kBlock> x1{}, y1{}, x2{}, y2{}, area{};
};

/// The kept boxes of one class.
class KeptBoxes {
 public:
  void add(const Box& box) {
    if (count_ % kBlock == 0) blocks_.emplace_back();
    BoxBlock& block = blocks_.back();
    const std::size_t place = count_++ % kBlock;
    block.x1[place] = box.x1;
    block.y1[place] = box.y1;
    block.x2[place] = box.x2;
    block.y2[place] = box.y2;
    block.area[place] = framemill::area(box);
  }

  [[nodiscard]] bool overlaps(const Box& box, float iou_max) const {
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      if (!may_overlap(blocks_[b], box, iou_max)) continue;
      const std::size_t used = std::min(kBlock, count_ - b * kBlock);
      for (std::size_t k = 0; k < used; ++k) {
        const BoxBlock& block = blocks_[b];
        if (iou({block.x1[k], block.y1[k], block.x2[k], block.y2[k]}, box) > iou_max) return true;
      }
    }
    return false;
  }

 private:
  /// False only where no box of the block has IoU > iou_max.
  static bool may_overlap(const BoxBlock& block, const Box& box, float iou_max) {
    const float box_area = framemill::area(box);
    const float least = iou_max * (1.0F - kSlack);
    std::array<std::int32_t, kBlock> hits;
    for (std::size_t k = 0; k < kBlock; ++k) {
      const float left = block.x1[k] > box.x1 ? block.x1[k] : box.x1;
      const float top = block.y1[k] > box.y1 ? block.y1[k] : box.y1;
      const float right = block.x2[k] < box.x2 ? block.x2[k] : box.x2;
      const float bottom = block.y2[k] < box.y2 ? block.y2[k] : box.y2;
      const float width = right > left ? right - left : 0.0F;
      const float height = bottom > top ? bottom - top : 0.0F;
      const float overlap = width * height;
      // Not "<": what is not a number has to be looked at by iou().
      hits[k] = !(overlap < least * (block.area[k] + box_area - overlap)) ? 1 : 0;
    }
    std::int32_t any = 0;
    for (const std::int32_t hit : hits) any |= hit;
    return any != 0;
  }

  std::vector<BoxBlock> blocks_;
  std::size_t count_ = 0;
};

struct Ranked {
  float score = 0;
  std::uint32_t place = 0;  // in the input
};
bool is_better(const Ranked& a, const Ranked& b) {
  return a.score != b.score ? a.score > b.score : a.place < b.place;
}

bool is_finite(const Detection& d) {
  return std::isfinite(d.score) && std::isfinite(d.box.x1) && std::isfinite(d.box.y1) &&
         std::isfinite(d.box.x2) && std::isfinite(d.box.y2);
}

}  // namespace

void nms(std::vector<Detection>& detections, float iou_max, std::size_t detections_max,
         std::size_t candidates_max) {
  std::vector<Ranked> ranking;
  ranking.reserve(detections.size());
  for (std::size_t i = 0; i < detections.size(); ++i)
    if (is_finite(detections[i]))
      ranking.push_back({detections[i].score, static_cast<std::uint32_t>(i)});
  if (ranking.size() > candidates_max) {
    const auto end = ranking.begin() + static_cast<std::ptrdiff_t>(candidates_max);
    std::nth_element(ranking.begin(), end, ranking.end(), is_better);
    ranking.erase(end, ranking.end());
  }
  std::sort(ranking.begin(), ranking.end(), is_better);

  std::vector<Detection> kept;
  kept.reserve(std::min(ranking.size(), detections_max));
  std::unordered_map<int, KeptBoxes> kept_by_class;
  for (const Ranked& ranked : ranking) {
    if (kept.size() >= detections_max) break;
    const Detection& detection = detections[ranked.place];
    KeptBoxes& of_class = kept_by_class[detection.class_id];
    if (of_class.overlaps(detection.box, iou_max)) continue;
    of_class.add(detection.box);
    kept.push_back(detection);
  }
  detections = std::move(kept);
}

}  // namespace framemill
