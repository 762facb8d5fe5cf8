#include "framemill/metrics/latency_histogram.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(LatencyHistogram, IsZeroWithoutSamples) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile(0.99), Duration::zero());
  EXPECT_EQ(histogram.count(), 0);
}

TEST(LatencyHistogram, AgreesWithSortedSamplesWithinOnePercent) {
  std::mt19937 rng(11);
  std::lognormal_distribution<double> ms(3.0, 1.0);
  std::vector<Duration> samples;
  LatencyHistogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    samples.push_back(from_seconds(ms(rng) / 1e3));
    histogram.record(samples.back());
  }
  std::sort(samples.begin(), samples.end());
  for (const double p : {0.5, 0.9, 0.95, 0.99, 0.999}) {
    const Duration want = samples[static_cast<std::size_t>(p * samples.size()) - 1];
    EXPECT_NEAR(to_ms(histogram.percentile(p)), to_ms(want), to_ms(want) * 0.012) << p;
  }
  EXPECT_EQ(histogram.max(), samples.back());
  EXPECT_EQ(histogram.percentile(1.0), samples.back());
}

TEST(LatencyHistogram, MergingEqualsRecordingTogether) {
  LatencyHistogram a, b, both;
  for (int i = 1; i < 500; ++i) {
    (i % 3 == 0 ? a : b).record(std::chrono::microseconds(i * i));
    both.record(std::chrono::microseconds(i * i));
  }
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.sum(), both.sum());
  EXPECT_EQ(a.percentile(0.5), both.percentile(0.5));
}

TEST(LatencyHistogram, TakesExtremes) {
  LatencyHistogram histogram;
  histogram.record(Duration(-5));
  histogram.record(std::chrono::hours(10'000));
  EXPECT_EQ(histogram.count(), 2);
  EXPECT_EQ(histogram.percentile(1.0), std::chrono::hours(10'000));
}

}  // namespace
}  // namespace framemill
