// What bounds clients: their rate, the processor time of answers.
#include <gtest/gtest.h>

#include "framemill/server/cpu_allowance.h"
#include "framemill/server/rate_limit.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

TEST(RateLimit, GivesABurstAndThenTheRate) {
  RateLimit limit(10, 5, 100);
  const TimePoint start{};
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limit.take("a", start));
  EXPECT_FALSE(limit.take("a", start));
  EXPECT_TRUE(limit.take("b", start));  // each for itself
  int taken = 0;
  for (Duration t = 0ms; t < 10s; t += 1ms) taken += limit.take("a", start + t) ? 1 : 0;
  EXPECT_NEAR(taken, 100, 1);
}

TEST(RateLimit, RemembersABoundedNumberOfClients) {
  RateLimit limit(1, 1, 10);
  for (int i = 0; i < 1000; ++i)
    EXPECT_TRUE(limit.take(std::to_string(i), TimePoint(std::chrono::milliseconds(i))));
  EXPECT_EQ(limit.clients(), 10U);
  EXPECT_FALSE(limit.take("999", TimePoint(1000ms)));  // the newest ones are known
}

TEST(CpuAllowance, HoldsTheShareOverTime) {
  const TimePoint start{};
  CpuAllowance allowance(.25, 100ms, start);
  TimePoint now = start;
  Duration spent{0};
  while (now - start < 60s) {
    const Duration delay = allowance.delay(now);
    now += delay;
    allowance.spend(10ms);
    spent += 10ms;
    now += 10ms;
  }
  EXPECT_LE(to_seconds(spent), .25 * 60 + .1 + .02);
  EXPECT_GE(to_seconds(spent), .24 * 60);
}

TEST(CpuAllowance, LetsBurstsPass) {
  CpuAllowance allowance(.25, 100ms, TimePoint{});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(allowance.delay(TimePoint{}), 0ms);
    allowance.spend(10ms);
  }
  allowance.spend(10ms);
  EXPECT_EQ(allowance.delay(TimePoint{}), 40ms);
}

}  // namespace
}  // namespace framemill
