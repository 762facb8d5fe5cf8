// What batches tell about a device: in which company they took how long, whether slow ones come in
// spells, and how long a slot stands empty.

#include "framemill/engine/batch_times.h"

#include <cmath>
#include <random>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

BatchSpan span_of(Duration begin, Duration length, std::size_t frames = 1) {
  return {TimePoint(begin), TimePoint(begin + length), frames};
}

using Kind = std::tuple<std::size_t, std::size_t, std::int64_t>;
std::vector<Kind> kinds_of(const std::vector<RunBatches>& batches) {
  std::vector<Kind> kinds;
  for (const RunBatches& one : batches) kinds.emplace_back(one.batch, one.in_flight, one.count);
  return kinds;
}

TEST(SortBatches, ByTheirSizeAndTheMeanOfThoseBeside) {
  const std::vector<BatchSpan> spans{
      span_of(0ms, 10ms),       // alone
      span_of(20ms, 10ms),      // beside the next for 4 ms of its 10: alone for most of it
      span_of(26ms, 40ms, 3),   // a bucket of 4; beside 4 + 14 ms of 40
      span_of(50ms, 14ms, 2),   // all its life beside the one before
      span_of(100ms, 20ms, 2),  // with two others throughout
      span_of(100ms, 20ms, 2), span_of(100ms, 20ms, 2)};
  EXPECT_THAT(kinds_of(sort_batches(spans)),
              ElementsAre(Kind{1, 1, 2}, Kind{2, 2, 1}, Kind{2, 3, 3}, Kind{4, 1, 1}));
}

TEST(SortBatches, TimesAreThoseOfTheKindAndTheOrderOfSpansDoesNotMatter) {
  std::vector<BatchSpan> spans{span_of(0ms, 10ms), span_of(100ms, 30ms), span_of(200ms, 20ms)};
  const std::vector<RunBatches> batches = sort_batches(spans);
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0].service.percentiles.front(), 10ms);
  EXPECT_EQ(batches[0].service.percentiles[50], 20ms);
  EXPECT_EQ(batches[0].service.percentiles.back(), 30ms);
  std::ranges::reverse(spans);
  EXPECT_EQ(sort_batches(spans), batches);
}

/// One batch each 20 ms whose time follows a process that keeps `phi` of itself with each batch,
/// as far as `share` of its variance goes.
std::vector<BatchSpan> spells(double share, double phi, int count) {
  std::mt19937 bits(5);
  std::normal_distribution<double> normal;
  std::vector<BatchSpan> spans;
  double spell = normal(bits);
  for (int i = 0; i < count; ++i) {
    spell = phi * spell + std::sqrt(1 - phi * phi) * normal(bits);
    const double score = std::sqrt(share) * spell + std::sqrt(1 - share) * normal(bits);
    spans.push_back(span_of(20ms * i, from_seconds(.010 * std::exp(.1 * score))));
  }
  return spans;
}

TEST(FindLikeness, TellsHowMuchStaysAndHowLong) {
  for (const auto& [share, phi] : {std::pair(.5, .9), std::pair(.8, .7), std::pair(.9, .95)}) {
    const Likeness found = find_likeness(spells(share, phi, 20'000));
    EXPECT_NEAR(found.share, share, .08) << share << " " << phi;
    EXPECT_NEAR(to_seconds(found.time) / (-.020 / std::log(phi)), 1, .2) << share << " " << phi;
  }
}

TEST(FindLikeness, NoneWhereBatchesHaveNoMemoryOrAreFew) {
  EXPECT_LT(find_likeness(spells(0, .9, 20'000)).share, .05);
  EXPECT_EQ(find_likeness(spells(.9, .95, 59)).share, 0);
  EXPECT_EQ(find_likeness(std::vector<BatchSpan>(100, span_of(0ms, 10ms))).time, 0ms);
}

// Batches of two frames take longer than those of one; where they alternate, that is no likeness.
TEST(FindLikeness, EachKindIsComparedWithItself) {
  std::vector<BatchSpan> spans = spells(.5, .9, 20'000);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (i / 7 % 2 == 0) continue;
    spans[i].frames = 2;
    spans[i].end += 8ms;
  }
  EXPECT_NEAR(find_likeness(spans).share, .5, .08);
}

TEST(MeanHandover, IsWhatSlotsStandEmptyBetweenBatches) {
  std::vector<BatchSpan> spans;
  for (int i = 0; i < 1000; ++i) {
    spans.push_back(span_of(12ms * i, 10ms));
    spans.push_back(span_of(12ms * i + 3ms, 10ms));
  }
  EXPECT_NEAR(to_ms(mean_handover(spans, 2)), 2, .02);
  EXPECT_EQ(mean_handover(spans, 1), 0ms);  // never less than nothing
  EXPECT_EQ(mean_handover({}, 2), 0ms);
}

}  // namespace
}  // namespace framemill
