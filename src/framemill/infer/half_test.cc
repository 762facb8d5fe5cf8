#include "framemill/infer/half.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

/// Values one by one go the portable way (fewer than a vector's eight); all at once the CPU's,
/// where it has one.
std::vector<std::uint16_t> halves_one_by_one(const std::vector<float>& floats) {
  std::vector<std::uint16_t> halves(floats.size());
  for (std::size_t i = 0; i < floats.size(); ++i)
    to_half(std::span(floats).subspan(i, 1), std::span(halves).subspan(i, 1));
  return halves;
}

TEST(Half, EveryHalfSurvivesTheWayThereAndBackBothWays) {
  std::vector<std::uint16_t> all(65'536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  std::vector<float> wide(all.size());
  to_float(all, wide);
  std::vector<std::uint16_t> back(all.size());
  to_half(wide, back);
  const std::vector<std::uint16_t> portable_back = halves_one_by_one(wide);
  for (std::size_t i = 0; i < all.size(); ++i) {
    float portable = 0;
    to_float(std::span(all).subspan(i, 1), std::span(&portable, 1));
    if (std::isnan(wide[i])) {
      EXPECT_TRUE(std::isnan(portable)) << i;
      EXPECT_GT(back[i] & 0x3FF, 0) << i;
      EXPECT_GT(portable_back[i] & 0x3FF, 0) << i;
      continue;
    }
    ASSERT_EQ(portable, wide[i]) << i;
    ASSERT_EQ(back[i], all[i]) << i;
    ASSERT_EQ(portable_back[i], all[i]) << i;
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  const std::pair<float, std::uint16_t> cases[] = {
      {0.0F, 0x0000},
      {-0.0F, 0x8000},
      {1.0F, 0x3C00},
      {114.0F / 255, 0x3727},
      {65'504.0F, 0x7BFF},
      {65'519.0F, 0x7BFF},
      {65'520.0F, 0x7C00},
      {1e9F, 0x7C00},
      {-1e9F, 0xFC00},
      {1 + 0x1p-11F, 0x3C00},
      {1 + 3 * 0x1p-11F, 0x3C02},
      {0x1p-24F, 0x0001},
      {0x1p-25F, 0x0000},
      {3 * 0x1p-25F, 0x0002},
      {0x1p-14F, 0x0400},
      {std::numeric_limits<float>::infinity(), 0x7C00}};
  for (const auto& [value, want] : cases) {
    EXPECT_EQ(halves_one_by_one({value})[0], want) << value;
    std::vector<std::uint16_t> wide(8);
    to_half(std::vector<float>(8, value), wide);
    EXPECT_EQ(wide[0], want) << value;
  }
}

TEST(Half, BothWaysAgreeOnRandomBitPatterns) {
  std::mt19937 random(7);
  std::vector<float> floats;
  while (floats.size() < 100'000) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (!std::isnan(value)) floats.push_back(value);
  }
  std::vector<std::uint16_t> wide(floats.size());
  to_half(floats, wide);
  EXPECT_EQ(wide, halves_one_by_one(floats));
}

}  // namespace
}  // namespace framemill
