#include "framemill/vision/yolo_head_rows.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

float slow_max(const std::vector<float>& values, std::size_t stride, std::size_t row_count,
               std::size_t i) {
  float best = -kInf;
  for (std::size_t r = 0; r < row_count; ++r)
    if (values[r * stride + i] > best) best = values[r * stride + i];
  return best;
}

class MaxOverRows : public testing::TestWithParam<RowsSimd> {};

TEST_P(MaxOverRows, EqualsTheSlowVersion) {
  if (!is_available(GetParam())) GTEST_SKIP() << "this CPU lacks the instructions";
  std::mt19937 rng(11);
  std::uniform_real_distribution<float> score(-1.0F, 1.0F);
  for (int round = 0; round < 300; ++round) {
    const std::size_t row_count = rng() % 12;
    const std::size_t count = rng() % 70;
    const std::size_t stride = count + rng() % 5;
    std::vector<float> values(row_count * stride);
    for (float& value : values) {
      const std::uint32_t kind = rng() % 20;
      value = kind == 0 ? kNan : kind == 1 ? kInf : kind == 2 ? -kInf : score(rng);
    }
    std::vector<float> best(count, -7.0F);
    max_over_rows(values.data(), stride, row_count, count, best.data(), GetParam());
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_EQ(best[i], slow_max(values, stride, row_count, i)) << round << " at " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(EverySimd, MaxOverRows,
                         testing::Values(RowsSimd::kPortable, RowsSimd::kAvx2, RowsSimd::kBest),
                         [](const auto& tested) {
                           return tested.param == RowsSimd::kPortable ? "Portable"
                                  : tested.param == RowsSimd::kAvx2   ? "Avx2"
                                                                      : "Best";
                         });

}  // namespace
}  // namespace framemill
