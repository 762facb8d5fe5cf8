#include "framemill/vision/shift_scale.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

std::vector<PlaceMotion> grid(float dx, float dy, float scale) {
  std::vector<PlaceMotion> places;
  for (const float y : {-20.0F, 0.0F, 20.0F}) {
    for (const float x : {-10.0F, 0.0F, 10.0F})
      places.push_back({x, y, dx + (scale - 1) * x, dy + (scale - 1) * y});
  }
  return places;
}

TEST(FitShiftScale, FindsTheExactMotion) {
  for (const float scale : {1.0F, 1.05F, 0.9F}) {
    const ShiftScaleFit fit = fit_shift_scale(grid(3, -7, scale), 3, 0);
    EXPECT_NEAR(fit.motion.dx, 3, 1e-3F);
    EXPECT_NEAR(fit.motion.dy, -7, 1e-3F);
    EXPECT_NEAR(fit.motion.scale, scale, 1e-3F);
    EXPECT_NEAR(fit.support, 1, 1e-3F);
    EXPECT_NEAR(fit.scatter, 0, 1e-3F);
  }
}

TEST(FitShiftScale, TheMajorityOfWeightWins) {
  std::vector<PlaceMotion> places = grid(5, 1, 1);
  for (std::size_t i = 0; i < 4; ++i) places[i].dx = places[i].dy = 0;
  EXPECT_NEAR(fit_shift_scale(places, 1.5F, 0).motion.dx, 5, 0.01F);
  for (std::size_t i = 0; i < 4; ++i) places[i].weight = 3;
  const ShiftScaleFit fit = fit_shift_scale(places, 1.5F, 1);
  EXPECT_NEAR(fit.motion.dx, 0, 0.01F);
  EXPECT_NEAR(fit.support, 12.0F / 17, 0.01F);
}

TEST(FitShiftScale, ThePriorHoldsTheScaleOfFewPlaces) {
  const std::vector<PlaceMotion> places{{-5, 0, -0.5F, 0}, {5, 0, 0.5F, 0}};
  EXPECT_NEAR(fit_shift_scale(places, 3, 0).motion.scale, 1.1F, 0.01F);
  EXPECT_LT(fit_shift_scale(places, 3, 500).motion.scale, 1.02F);
}

TEST(FitShiftScale, OfNothingIsNoMotion) {
  const ShiftScaleFit fit = fit_shift_scale({}, 1, 1);
  EXPECT_EQ(fit.motion.dx, 0);
  EXPECT_EQ(fit.motion.scale, 1);
  EXPECT_EQ(fit.support, 0);
}

TEST(FitShiftScale, StaysFiniteAndBounded) {
  std::mt19937 random(4);
  std::uniform_real_distribution<float> any(-50, 50);
  for (int n = 0; n < 2000; ++n) {
    std::vector<PlaceMotion> places(static_cast<std::size_t>(n % 12));
    for (PlaceMotion& place : places) place = {any(random), any(random), any(random), any(random)};
    const ShiftScaleFit fit = fit_shift_scale(places, 2, n % 2 == 0 ? 0.0F : 10.0F);
    EXPECT_TRUE(std::isfinite(fit.motion.dx) && std::isfinite(fit.motion.dy));
    EXPECT_TRUE(fit.motion.scale >= 0.66F && fit.motion.scale <= 1.51F);
    EXPECT_TRUE(fit.support >= 0 && fit.support <= 1);
    EXPECT_TRUE(std::isfinite(fit.scatter));
  }
}

}  // namespace
}  // namespace framemill
