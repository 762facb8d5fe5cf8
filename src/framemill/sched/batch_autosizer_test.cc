#include "framemill/sched/batch_autosizer.h"

#include <bit>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{};

TEST(KneeFrames, FollowsTheTable) {
  const std::tuple<const char*, std::vector<Duration>, std::size_t> cases[] = {
      {"nothing measured", {}, 1},
      {"one alone", {26ms}, 1},
      {"a CPU: twice the time for two", {26ms, 52ms, 104ms, 208ms, 416ms, 832ms}, 1},
      {"a little better is not worth it", {100ms, 191ms, 382ms}, 1},
      {"exactly 5 % is", {105ms, 200ms, 400ms}, 2},
      {"a GPU: 6 ms and 1 ms a frame", {7ms, 8ms, 10ms, 14ms, 22ms, 38ms}, 32},
      {"flattens at 8", {7ms, 8ms, 10ms, 14ms, 28ms, 40ms}, 8},
      {"a later gain is not looked for", {10ms, 20ms, 21ms, 22ms}, 1},
      {"larger ones not measured", {7ms, 8ms, 0ms, 14ms}, 2},
      {"time falls, even", {10ms, 5ms}, 2},
      {"more than there are buckets", {1ms, 1ms, 1ms, 1ms, 1ms, 1ms, 1ms, 1ms}, 32},
  };
  for (const auto& [name, times, want] : cases) EXPECT_EQ(knee_frames(times), want) << name;
}

TEST(KneeFrames, OfLearnedTimesIsNeverAboveWhatWasTried) {
  ServiceTimes times;
  EXPECT_EQ(knee_frames(times), 1U);
  times.seed(1, 7ms);
  EXPECT_EQ(knee_frames(times), 1U);
  times.seed(2, 8ms);
  EXPECT_EQ(knee_frames(times), 2U);
  times.seed(4, 10ms);
  EXPECT_EQ(knee_frames(times), 4U);
}

TEST(KneeFrames, EachDoublingUpToTheKneePays) {  // property
  std::mt19937 rng(61);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Duration> times(kBatchBuckets.size());
    Duration time = Duration(1'000'000 + rng() % 10'000'000);
    for (Duration& each : times) {
      each = time;
      time += Duration(static_cast<std::int64_t>(static_cast<double>(time.count()) * .01 *
                                                 static_cast<double>(rng() % 110)));
    }
    const std::size_t knee = knee_frames(times);
    for (std::size_t i = 1; i < times.size(); ++i) {
      const double gain = 2 * to_ms(times[i - 1]) / to_ms(times[i]);
      if (kBatchBuckets[i] <= knee) {
        EXPECT_GE(gain, 1.0499999) << round;
      }
      if (kBatchBuckets[i] == 2 * knee) {
        EXPECT_LT(gain, 1.05) << round;
      }
    }
  }
}

/// The knee that a search ends with where a batch of `frames` takes `time_of(frames, nth time)`.
std::size_t search_knee(std::size_t frames_max,
                        const std::function<Duration(std::size_t, std::size_t)>& time_of,
                        std::vector<std::size_t>* asked = nullptr) {
  KneeSearch search(frames_max);
  std::map<std::size_t, std::size_t> times;
  while (const std::optional<std::size_t> frames = search.next()) {
    if (asked != nullptr) asked->push_back(*frames);
    search.record(time_of(*frames, times[*frames]++));
  }
  return search.knee();
}

TEST(KneeSearch, MeasuresBothSizesInTurn) {
  std::vector<std::size_t> asked;
  const auto graphics = [](std::size_t frames, std::size_t) { return 6ms + frames * 1ms; };
  EXPECT_EQ(search_knee(4, graphics, &asked), 4U);
  EXPECT_EQ(asked, (std::vector<std::size_t>{1, 2, 1, 2, 4, 2, 4}));
  asked.clear();
  const auto processor = [](std::size_t frames, std::size_t) { return frames * 26ms; };
  EXPECT_EQ(search_knee(32, processor, &asked), 1U);
  EXPECT_EQ(asked, (std::vector<std::size_t>{1, 2}));
  asked.clear();
  EXPECT_EQ(search_knee(1, graphics, &asked), 1U);
  EXPECT_EQ(asked, (std::vector<std::size_t>{1}));
}

TEST(KneeSearch, OneSlowMeasurementOfTheSmallerMakesNoKnee) {
  // The first, second, ... batch of one is held up by something else, the others are not.
  for (std::size_t held_up = 0; held_up < 3; ++held_up) {
    const auto time_of = [held_up](std::size_t frames, std::size_t nth) {
      return frames * 10ms + (frames == 1 && nth == held_up ? 15ms : 0ms);
    };
    EXPECT_EQ(search_knee(32, time_of), 1U) << held_up;
  }
}

TEST(KneeSearch, WithoutNoiseIsWhatTheTableSays) {  // property
  std::mt19937 rng(62);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Duration> times;
    Duration time = Duration(1'000'000 + rng() % 10'000'000);
    for (std::size_t i = 0; i < kBatchBuckets.size(); ++i) {
      times.push_back(time);
      time += time * static_cast<std::int64_t>(1 + rng() % 110) / 100;
    }
    const auto time_of = [&times](std::size_t frames, std::size_t) {
      return times[static_cast<std::size_t>(std::countr_zero(frames))];
    };
    ASSERT_EQ(search_knee(32, time_of), knee_frames(times)) << round;
  }
}

TEST(KneeSearch, WhatHasGainedOnceOnlyDoesNotCountWhenStopped) {
  KneeSearch search(32);
  search.record(10ms);
  search.record(10ms);
  search.stop();
  EXPECT_EQ(search.next(), std::nullopt);
  EXPECT_EQ(search.knee(), 1U);
}

TEST(UtilisationSizer, FollowsTheTable) {
  const std::tuple<const char*, double, std::size_t, std::size_t> cases[] = {
      {"idle: grows", .2, 8, 10},           {"busy: shrinks", .9, 8, 6},
      {"between: stays", .65, 8, 8},        {"at the lower bound of it", .5, 8, 8},
      {"at the upper bound", .8, 8, 8},     {"no further than the most", .1, 31, 32},
      {"no lower than the least", 1, 2, 1},
  };
  for (const auto& [name, utilisation, start, want] : cases) {
    UtilisationSizer sizer({}, start);
    EXPECT_EQ(sizer.update(kStart, utilisation), start) << name;  // too early
    EXPECT_EQ(sizer.update(kStart + 4999ms, utilisation), start) << name;
    EXPECT_EQ(sizer.update(kStart + 5s, utilisation), want) << name;
    EXPECT_EQ(sizer.frames(), want) << name;
  }
}

TEST(UtilisationSizer, ChangesOnceInFiveSeconds) {
  UtilisationSizer sizer({}, 4);
  for (int i = 0; i <= 200; ++i) sizer.update(kStart + i * 100ms, .1);  // 20 s
  EXPECT_EQ(sizer.frames(), 12U);
}

TEST(UtilisationSizer, LooksAtTheLastTenReadings) {
  UtilisationSizer sizer({}, 4);
  for (int i = 0; i < 50; ++i) sizer.update(kStart + i * 10ms, 1);
  for (int i = 0; i < 10; ++i) sizer.update(kStart + 600ms + i * 10ms, .1);
  ASSERT_TRUE(sizer.mean_utilisation());
  EXPECT_NEAR(*sizer.mean_utilisation(), .1, 1e-12);
  sizer.update(kStart + 5s, .1);
  EXPECT_EQ(sizer.frames(), 6U);
}

TEST(UtilisationSizer, BadReadingsDoNoHarm) {
  UtilisationSizer sizer({}, 4);
  sizer.update(kStart, std::nan(""));
  EXPECT_FALSE(sizer.mean_utilisation());
  EXPECT_EQ(sizer.update(kStart + 6s, std::nan("")), 4U);
  sizer.update(kStart + 7s, -3);
  EXPECT_EQ(*sizer.mean_utilisation(), 0);
  EXPECT_EQ(sizer.frames(), 6U);
}

TEST(UtilisationSizer, StaysInItsRange) {  // property
  std::mt19937 rng(67);
  for (int round = 0; round < 100; ++round) {
    const std::size_t least = 1 + rng() % 8;
    const std::size_t most = least + rng() % 20;
    UtilisationSizer sizer({.frames_min = least, .frames_max = most, .step = 1 + rng() % 5},
                           rng() % 40);
    for (int i = 0; i < 200; ++i) {
      const std::size_t frames =
          sizer.update(kStart + i * 2s, static_cast<double>(rng() % 100) / 100);
      ASSERT_GE(frames, least);
      ASSERT_LE(frames, most);
    }
  }
}

}  // namespace
}  // namespace framemill
