#include "framemill/sched/backoff.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, FollowsTheTable) {
  const std::tuple<const char*, ErrorCode, std::vector<Duration>> cases[] = {
      {"network", ErrorCode::kUnavailable, {250ms, 500ms, 1s, 1500ms, 1500ms, 1500ms}},
      {"busy device", ErrorCode::kResourceExhausted, {250ms, 500ms, 1s, 1500ms}},
      {"our bug", ErrorCode::kInternal, {250ms, 500ms}},
      {"credentials", ErrorCode::kFailedPrecondition, {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}},
      {"not found", ErrorCode::kNotFound, {1s, 2s, 4s}},
      {"no video in it", ErrorCode::kUnsupported, {250ms, 500ms, 1s, 1500ms}},
      {"rubbish", ErrorCode::kInvalidArgument, {250ms, 500ms, 1s, 1500ms}},
  };
  for (const auto& [name, code, waits] : cases) {
    Backoff backoff(1);
    for (const Duration want : waits) {
      const Duration wait = backoff.next(code);
      EXPECT_GE(wait, want * 8 / 10) << name;
      EXPECT_LE(wait, want) << name;
    }
  }
}

TEST(Backoff, SuccessStartsOver) {
  Backoff backoff(2);
  for (int i = 0; i < 5; ++i) (void)backoff.next(ErrorCode::kNotFound);
  for (int i = 0; i < 5; ++i) (void)backoff.next(ErrorCode::kUnavailable);
  backoff.reset();
  EXPECT_LE(backoff.next(ErrorCode::kNotFound), 1s);
  EXPECT_LE(backoff.next(ErrorCode::kUnavailable), 250ms);
}

TEST(Backoff, NetworkErrorsBetweenRefusalsDoNotSpeedThemUp) {
  Backoff backoff(3);
  for (int i = 0; i < 4; ++i) {
    (void)backoff.next(ErrorCode::kFailedPrecondition);
    (void)backoff.next(ErrorCode::kUnavailable);
  }
  EXPECT_GE(backoff.next(ErrorCode::kFailedPrecondition), 12800ms);
}

TEST(Backoff, NeverOverflowsHoweverLongACameraIsAway) {
  Backoff backoff(4);
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_LE(backoff.next(ErrorCode::kNotFound), 60s);
    ASSERT_GT(backoff.next(ErrorCode::kUnavailable), 0s);
  }
}

TEST(Backoff, JitterSpreadsSeedsAndRepeatsPerSeed) {
  double least = 1;
  double most = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Backoff a(seed);
    Backoff b(seed);
    const Duration wait = a.next(ErrorCode::kUnavailable);
    EXPECT_EQ(wait, b.next(ErrorCode::kUnavailable));
    least = std::min(least, to_seconds(wait));
    most = std::max(most, to_seconds(wait));
  }
  EXPECT_LT(least, 0.21);
  EXPECT_GT(most, 0.24);
}

}  // namespace
}  // namespace framemill
