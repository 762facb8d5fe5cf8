#include "framemill/sched/budget_pace.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{};

TimePoint at(double seconds) { return kStart + from_seconds(seconds); }

/// `frames` of camera 0 at `rate_hz` from `from_s` on; returns when the next one would come.
double play(BudgetPace& pace, double rate_hz, int frames, double from_s = 0) {
  for (int i = 0; i < frames; ++i) (void)pace.count_frame(0, at(from_s + i / rate_hz));
  return from_s + frames / rate_hz;
}

TEST(BudgetPace, ACameraSampledByTimeCountsWithItsRate) {
  BudgetPace pace(3);
  pace.add_camera(10, false);
  EXPECT_DOUBLE_EQ(pace.share(), .3);
  play(pace, 4, 50);  // its source brings less
  EXPECT_DOUBLE_EQ(pace.share(), .3);
}

TEST(BudgetPace, EachNthFrameCountsAsItComes) {
  for (const double rate : {.5, 4.0, 8.33, 12.5, 30.0, 60.0}) {
    BudgetPace pace(2);
    pace.add_camera(25, true);
    pace.add_camera(10, false);
    EXPECT_DOUBLE_EQ(pace.share(), 2.0 / 35) << "a guess until something comes";
    play(pace, rate, 2);
    EXPECT_NEAR(pace.share(), 2 / (10 + rate), .001) << rate << ": two frames are enough";
    play(pace, rate, 200, 2 / rate);
    EXPECT_NEAR(pace.share(), 2 / (10 + rate), .001) << rate;
  }
}

TEST(BudgetPace, JitterNeitherBiasesNorMovesIt) {
  std::mt19937 rng(5);
  std::uniform_real_distribution<double> jitter(-.02, .02);
  BudgetPace pace(2);
  for (int i = 0; i < 20; ++i) pace.add_camera(25, true);
  int changes = 0;
  for (int i = 0; i < 400; ++i) {
    for (CameraIndex camera = 0; camera < 20; ++camera) {
      const bool has_changed = pace.count_frame(camera, at(i * .1 + jitter(rng))).has_value();
      if (i >= 50) changes += has_changed ? 1 : 0;
    }
  }
  EXPECT_NEAR(pace.share(), 2.0 / 200, .03 * 2 / 200);
  EXPECT_LT(changes, 350 * 20 / 20) << "of 7000 frames";
}

TEST(BudgetPace, WhatIsToldIsNeverAboveWhatTheRatesAllow) {
  std::mt19937 rng(6);
  std::uniform_real_distribution<double> factor(.7, 1.4);
  BudgetPace pace(5);
  pace.add_camera(25, true);
  double told = pace.share();
  double now = 0;
  for (int i = 0; i < 2000; ++i) {
    now += .1 * factor(rng) * (i < 1000 ? 1 : .5);
    told = pace.count_frame(0, at(now)).value_or(told);
    EXPECT_LE(told, pace.share() + 1e-12) << i;
    EXPECT_GE(told, pace.share() / 1.0101) << i;
  }
}

TEST(BudgetPace, AGapIsNoRate) {
  BudgetPace pace(2);
  pace.add_camera(25, true);
  const double end = play(pace, 10, 100);
  play(pace, 10, 1, end + 60);  // an outage of a minute
  EXPECT_NEAR(pace.rate_hz(0), 10, .01);
  play(pace, 10, 20, end + 60.1);
  EXPECT_NEAR(pace.rate_hz(0), 10, .01);
}

TEST(BudgetPace, ANewRateIsLearned) {
  for (const double rate : {2.0, 5.0, 15.0, 40.0}) {  // by night, or a changed setting
    BudgetPace pace(2);
    pace.add_camera(25, true);
    const double end = play(pace, 10, 100);
    play(pace, rate, 100, end);
    EXPECT_NEAR(pace.rate_hz(0), rate, .05 * rate) << rate;
  }
}

TEST(BudgetPace, BrokenTimesDoNoHarm) {
  BudgetPace pace(2);
  pace.add_camera(25, true);
  for (int i = 0; i < 100; ++i) (void)pace.count_frame(0, at(i % 7 == 6 ? 0 : i * .1));
  EXPECT_GT(pace.rate_hz(0), 5);
  EXPECT_LT(pace.rate_hz(0), 20);
  EXPECT_TRUE(std::isfinite(pace.share()) && pace.share() > 0);
  BudgetPace still(2);
  still.add_camera(25, true);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(still.count_frame(0, kStart));
  EXPECT_DOUBLE_EQ(still.share(), 2.0 / 25);
}

TEST(BudgetPace, CamerasComeAndGo) {
  BudgetPace pace(2);
  pace.add_camera(10, false);
  pace.add_camera(10, true);
  EXPECT_DOUBLE_EQ(pace.share(), .1);
  pace.remove_camera(1);
  EXPECT_DOUBLE_EQ(pace.share(), .2);
  EXPECT_FALSE(pace.count_frame(1, at(1))) << "its last frame may still come";
  pace.remove_camera(0);
  EXPECT_DOUBLE_EQ(pace.share(), 1);
  pace.add_camera(4, false);
  EXPECT_DOUBLE_EQ(pace.share(), .5);
}

}  // namespace
}  // namespace framemill
