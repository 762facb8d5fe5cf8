#include "framemill/video/sampler.h"

#include <cmath>
#include <map>
#include <random>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

/// The indices sampled out of `times`.
std::vector<int> sampled(SamplerOptions options, const std::vector<double>& times) {
  Sampler sampler(options);
  std::vector<int> taken;
  for (std::size_t i = 0; i < times.size(); ++i)
    if (sampler.take(times[i])) taken.push_back(static_cast<int>(i));
  return taken;
}

std::vector<double> regular(double rate_hz, int frames, double begin_s = 0) {
  std::vector<double> times;
  for (int i = 0; i < frames; ++i) times.push_back(begin_s + i / rate_hz);
  return times;
}

/// Frames sampled in each whole second since the first frame.
std::map<int, int> per_second(SamplerOptions options, const std::vector<double>& times) {
  std::map<int, int> counts;
  for (const int i : sampled(options, times))
    ++counts[static_cast<int>(std::floor(times[static_cast<std::size_t>(i)] - times[0] + 1e-9))];
  return counts;
}

TEST(Sampler, FollowsTheTable) {
  const std::tuple<const char*, SamplerOptions, std::vector<double>, std::vector<int>> cases[] = {
      {"25 frames/s at 10", {10}, regular(25, 13), {0, 3, 5, 8, 10}},
      {"12.5 frames/s at 10", {10}, regular(12.5, 11), {0, 2, 3, 4, 5, 7, 8, 9, 10}},
      {"10 frames/s at 10: all", {10}, regular(10, 6), {0, 1, 2, 3, 4, 5}},
      {"slower than the rate: all", {10}, regular(4, 4), {0, 1, 2, 3}},
      {"every 3", {.every = 3}, regular(25, 8), {0, 3, 6}},
      {"every 1", {.every = 1}, regular(25, 3), {0, 1, 2}},
      {"every goes on over a jump", {.every = 2}, {0, .04, 90, 90.04, 3}, {0, 2, 4}},
      {"neither: all", {.rate_hz = 0}, regular(25, 4), {0, 1, 2, 3}},
      {"a jump forwards restarts", {10}, {0, .04, 5.07, 5.11, 5.15, 5.19}, {0, 2, 5}},
      {"a jump backwards restarts", {10}, {9, 9.04, 2.07, 2.11, 2.15, 2.19}, {0, 2, 5}},
      {"a gap of 1 s keeps the grid", {10}, {0, .04, 1.04, 1.08, 1.12}, {0, 2, 4}},
      {"a step back within 1 s repeats nothing", {10}, {0, .1, .2, .15, .2, .3}, {0, 1, 2, 5}},
      {"2 s apart is no jump each time", {.rate_hz = .2}, regular(.5, 7), {0, 1, 4, 6}},
  };
  for (const auto& [name, options, times, want] : cases)
    EXPECT_EQ(sampled(options, times), want) << name;
}

TEST(Sampler, GivesTheRateInEachSecond) {
  for (const double begin_s : {0.0, 1e6 + 0.123}) {
    for (const auto& [second, count] : per_second({10}, regular(25, 250, begin_s)))
      EXPECT_EQ(count, 10) << "second " << second << " from " << begin_s;
    for (const auto& [second, count] : per_second({10}, regular(30000 / 1001.0, 600, begin_s)))
      EXPECT_NEAR(count, 10, second < 19 ? 1 : 10) << "second " << second << " from " << begin_s;
  }
  // 29.97 frames/s drift through the grid, yet none of its cells stays empty.
  EXPECT_EQ(sampled({10}, regular(30000 / 1001.0, 2997)).size(), 1000U);
}

TEST(Sampler, TimestampsRoundedDownKeepTheirCell) {
  std::vector<double> times;
  for (int i = 0; i < 1000; ++i) times.push_back(std::floor(i * 0.1 * 1e9) / 1e9);
  EXPECT_EQ(sampled({10}, times).size(), 1000U);
}

TEST(Sampler, ACopySeesAheadWithoutChangingAnything) {
  std::mt19937 rng(7);
  std::uniform_real_distribution<double> step(-0.2, 0.4);
  Sampler sampler({10});
  double time = 0;
  for (int i = 0; i < 10'000; ++i) {
    time += i % 97 == 0 ? 5 * step(rng) : step(rng);
    Sampler copy = sampler;
    const bool would = copy.take(time);
    EXPECT_EQ(sampler.take(time), would) << "frame " << i;
  }
}

TEST(Sampler, RestartedGridTakesTheNextFrame) {
  Sampler sampler({10});
  EXPECT_TRUE(sampler.take(0));
  EXPECT_FALSE(sampler.take(0.04));
  sampler.restart_grid();
  EXPECT_TRUE(sampler.take(0.08));
  EXPECT_FALSE(sampler.take(0.12));
}

TEST(Sampler, NeverMoreThanTheRateAndNeverAGapOfTwoCells) {  // property, regular sources
  std::mt19937 rng(3);
  for (int round = 0; round < 300; ++round) {
    const double source_hz = std::uniform_real_distribution<double>(1.1, 60)(rng);
    const double rate_hz = std::uniform_real_distribution<double>(0.5, source_hz)(rng);
    const std::vector<double> times = regular(source_hz, 500);
    const std::vector<int> taken = sampled({rate_hz}, times);
    const double span_s = times.back();
    EXPECT_LE(static_cast<double>(taken.size()), span_s * rate_hz + 1 + 1e-6) << round;
    for (std::size_t i = 1; i < taken.size(); ++i)
      EXPECT_LT((taken[i] - taken[i - 1]) / source_hz, 1 / rate_hz + 1 / source_hz + 1e-6) << round;
  }
}

}  // namespace
}  // namespace framemill
