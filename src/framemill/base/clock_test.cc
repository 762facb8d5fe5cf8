#include "framemill/base/clock.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

TEST(ManualClock, MovesOnlyWhenTold) {
  ManualClock clock;
  const TimePoint before = clock.now();
  const WallTime wall_before = clock.wall_now();
  EXPECT_EQ(clock.now(), before);
  clock.advance(1500ms);
  EXPECT_EQ(clock.now() - before, 1500ms);
  EXPECT_EQ(clock.wall_now() - wall_before, 1500ms);
}

TEST(SystemClock, NeverGoesBack) {
  const SystemClock clock;
  TimePoint last = clock.now();
  for (int i = 0; i < 1000; ++i) {
    const TimePoint now = clock.now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(Duration, ConvertsToSecondsAndBack) {
  EXPECT_EQ(from_seconds(0.04), 40ms);
  EXPECT_EQ(from_seconds(-0.04), -40ms);
  EXPECT_DOUBLE_EQ(to_seconds(1500ms), 1.5);
  EXPECT_DOUBLE_EQ(to_ms(1500us), 1.5);
}

}  // namespace
}  // namespace framemill
