#include "framemill/vision/nms.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace framemill {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Written for being obvious. `track` marks each detection's place in the input.
std::vector<Detection> slow_nms(std::vector<Detection> detections, float iou_max,
                                std::size_t detections_max, std::size_t candidates_max) {
  std::erase_if(detections, [](const Detection& d) {
    return !(std::isfinite(d.score) && std::isfinite(d.box.x1) && std::isfinite(d.box.y1) &&
             std::isfinite(d.box.x2) && std::isfinite(d.box.y2));
  });
  std::stable_sort(detections.begin(), detections.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
  if (detections.size() > candidates_max) detections.resize(candidates_max);
  std::vector<Detection> kept;
  for (const Detection& d : detections) {
    const bool is_suppressed = std::ranges::any_of(kept, [&](const Detection& k) {
      return k.class_id == d.class_id && iou(k.box, d.box) > iou_max;
    });
    if (!is_suppressed && kept.size() < detections_max) kept.push_back(d);
  }
  return kept;
}

/// `spread` pixels wide and high, sizes up to 100; with a coarse grid many ties and equal boxes.
std::vector<Detection> random_set(std::mt19937& rng, std::size_t count, float spread,
                                  int class_count, bool is_coarse) {
  std::uniform_real_distribution<float> unit(0, 1);
  const auto draw = [&](float most) {
    return is_coarse ? std::floor(unit(rng) * 8) * most / 8 : unit(rng) * most;
  };
  std::vector<Detection> set(count);
  for (std::size_t i = 0; i < count; ++i) {
    const float x = draw(spread), y = draw(spread);
    set[i] = {.class_id = static_cast<int>(rng() % static_cast<std::uint32_t>(class_count)),
              .score = draw(1),
              .box = {x, y, x + draw(100), y + draw(100)},
              .track = static_cast<std::int64_t>(i)};
  }
  return set;
}

TEST(Nms, EqualsTheSlowVersion) {
  std::mt19937 rng(17);
  const float thresholds[] = {0.65F, 0.5F, 0.45F, 0, 1, -1, kNan};
  for (int round = 0; round < 2'000; ++round) {
    std::vector<Detection> set = random_set(rng, rng() % 120, static_cast<float>(rng() % 300),
                                            static_cast<int>(rng() % 5) + 1, rng() % 2 == 0);
    for (Detection& d : set) {
      if (rng() % 50 == 0) d.score = rng() % 2 == 0 ? kNan : kInf;
      if (rng() % 50 == 0) d.box.x2 = rng() % 2 == 0 ? kNan : kInf;
      if (rng() % 50 == 0) d.box = {-3e38F, -3e38F, 3e38F, 3e38F};  // the area overflows
    }
    const float iou_max = thresholds[rng() % std::size(thresholds)];
    const std::size_t detections_max = rng() % 3 == 0 ? rng() % 20 : 300;
    const std::size_t candidates_max = rng() % 3 == 0 ? rng() % 60 : 30'000;
    const std::vector<Detection> want = slow_nms(set, iou_max, detections_max, candidates_max);
    nms(set, iou_max, detections_max, candidates_max);
    ASSERT_EQ(set, want) << "round " << round << ", IoU " << iou_max;
  }
}

TEST(Nms, KeepsTheFirstOfEqualOnes) {
  std::vector<Detection> set(50, Detection{.class_id = 3, .score = 0.5F, .box = {1, 2, 30, 40}});
  for (std::size_t i = 0; i < set.size(); ++i) set[i].track = static_cast<std::int64_t>(i);
  nms(set, 0.65F);
  ASSERT_EQ(set.size(), 1U);
  EXPECT_EQ(set[0].track, 0);
}

TEST(Nms, LeavesOtherClassesAlone) {
  std::vector<Detection> set{{.class_id = 1, .score = 0.5F, .box = {1, 2, 30, 40}},
                             {.class_id = 2, .score = 0.9F, .box = {1, 2, 30, 40}}};
  nms(set, 0.65F);
  ASSERT_EQ(set.size(), 2U);
  EXPECT_EQ(set[0].class_id, 2);
}

TEST(Nms, SuppressesAboveTheThresholdOnly) {
  // Overlap 50, union 150: IoU is a third in the same rounding on both sides.
  const Box a{0, 0, 10, 10}, b{0, 5, 10, 15};
  std::vector<Detection> set{{.score = 0.9F, .box = a}, {.score = 0.8F, .box = b}};
  nms(set, iou(a, b));
  EXPECT_EQ(set.size(), 2U);
  nms(set, std::nextafter(iou(a, b), 0.0F));
  EXPECT_EQ(set.size(), 1U);
}

TEST(Nms, TakesNothingAndNothingButRubbish) {
  std::vector<Detection> set;
  nms(set, 0.65F);
  EXPECT_TRUE(set.empty());
  set = {{.score = kNan, .box = {0, 0, 1, 1}}, {.score = 0.5F, .box = {0, 0, kInf, 1}}};
  nms(set, 0.65F);
  EXPECT_TRUE(set.empty());
}

TEST(Nms, EndsInBoundedTimeWithEveryCandidateOfAModel) {
  std::mt19937 rng(4);
  // The worst case: nearly 300 are kept early, and the rest is compared with all of them.
  std::vector<Detection> set;
  for (int i = 0; i < 299; ++i) {
    const auto x = static_cast<float>(i * 100);
    set.push_back({.score = 0.9F, .box = {x, 0, x + 50, 50}});
  }
  const Box last = set.back().box;
  while (set.size() < 30'000) set.push_back({.score = 0.5F, .box = last});
  const auto start = std::chrono::steady_clock::now();
  nms(set, 0.65F);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(set.size(), 299U);
  // 23 ms when optimised; sanitizers and a busy machine are slower.
  EXPECT_LT(took, std::chrono::seconds(5));
  RecordProperty("ms", static_cast<int>(std::chrono::duration<double, std::milli>(took).count()));
}

}  // namespace
}  // namespace framemill
