#include "framemill/sched/service_times.h"

#include <random>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

TEST(BucketFor, IsTheSmallestThatHolds) {
  for (std::size_t frames = 1; frames <= 32; ++frames) {
    const std::size_t bucket = bucket_for(frames);
    EXPECT_GE(bucket, frames);
    EXPECT_TRUE(bucket == 1 || bucket / 2 < frames) << frames;
    EXPECT_EQ(bucket & (bucket - 1), 0U);
  }
}

TEST(ServiceTimes, KnowNothingAtFirst) {
  const ServiceTimes times;
  EXPECT_EQ(times.mean(1), 0ns);
  EXPECT_EQ(times.p95(32), 0ns);
}

TEST(ServiceTimes, ScaleFromTheNearestSeenBucket) {
  ServiceTimes times;
  times.seed(4, 40ms);
  EXPECT_EQ(times.mean(3), 40ms) << "a batch of 3 costs a bucket of 4";
  EXPECT_EQ(times.p95(4), 50ms);
  EXPECT_EQ(times.p05(4), 30ms);
  EXPECT_EQ(times.mean(1), 10ms);
  EXPECT_EQ(times.mean(8), 80ms);
  EXPECT_EQ(times.mean(32), 320ms);
  times.seed(16, 120ms);
  EXPECT_EQ(times.mean(32), 240ms) << "16 is nearer";
  EXPECT_EQ(times.mean(8), 80ms) << "equally near: the smaller one";
}

TEST(ServiceTimes, FirstSampleOfAnUnseenBucketCountsInFull) {
  ServiceTimes times;
  times.record(1, 20ms);
  EXPECT_EQ(times.mean(1), 20ms);
  times.record(1, -5ms);  // a clock that went backwards must not break anything
  EXPECT_GT(times.mean(1), 0ns);
}

TEST(ServiceTimes, FollowASlowdownOfAQuarterInTenSamples) {
  ServiceTimes times;
  times.seed(1, 40ms);
  for (int i = 0; i < 100; ++i) times.record(1, 40ms);
  for (int i = 0; i < 10; ++i) times.record(1, 50ms);
  EXPECT_GT(times.mean(1), 47ms);
  EXPECT_GE(times.p95(1), 50ms) << "the deviation covers what the mean has not caught up with";
  EXPECT_LT(times.p95(1), 58ms);
}

TEST(ServiceTimes, P95CoversAboutThatMuch) {
  // Mean + 2 deviations is an estimate; a log-normal has a longer tail than the normal behind it.
  std::mt19937 rng(5);
  std::lognormal_distribution<double> noise(0, .25);
  ServiceTimes times;
  times.seed(1, 30ms);
  int covered = 0;
  constexpr int kSamples = 20'000;
  for (int i = 0; i < kSamples; ++i) {
    const Duration sample = from_seconds(.030 * noise(rng));
    covered += sample <= times.p95(1) ? 1 : 0;
    times.record(1, sample);
  }
  EXPECT_GT(covered, kSamples * 90 / 100);
  EXPECT_LT(covered, kSamples * 98 / 100);
}

TEST(ServiceTimes, OneStallDoesNotShutACameraOut) {
  ServiceTimes times;
  times.seed(1, 30ms);
  for (int i = 0; i < 50; ++i) times.record(1, 30ms);
  times.record(1, 5s);
  EXPECT_LT(times.p95(1), 90ms);
  for (int i = 0; i < 30; ++i) times.record(1, 30ms);
  EXPECT_LT(times.p95(1), 32ms);
}

TEST(ServiceTimes, ABucketOutOfUseCannotContradictAFresherOne) {
  ServiceTimes times;
  for (const std::size_t batch : kBatchBuckets)
    times.seed(batch, 6ms + 1ms * static_cast<int>(batch));
  for (int i = 0; i < 8; ++i) times.record(8, 400ms);  // a stall that only batches of 8 saw
  EXPECT_GT(times.p95(8), 300ms);
  for (int i = 0; i < 60; ++i) times.record(4, 10ms);
  EXPECT_LE(times.p95(8), 21ms) << "no more than two batches of 4";
  for (int i = 0; i < 100; ++i) times.record(4, 40ms);  // the device got slower for good
  EXPECT_GE(times.mean(8), 39ms) << "a larger batch takes no less";
}

TEST(ServiceTimes, StaleSeedsDoNotHideASlowdown) {
  ServiceTimes times;
  for (const std::size_t batch : kBatchBuckets)
    times.seed(batch, 6ms + 1ms * static_cast<int>(batch));
  for (int i = 0; i < 100; ++i) times.record(8, 42ms);
  EXPECT_GE(times.mean(8), 41ms);
  EXPECT_GE(times.p95(16), 41ms);
}

}  // namespace
}  // namespace framemill
