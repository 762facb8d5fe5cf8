#include "framemill/vision/tracker_assignment.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace framemill {
namespace {

double total(const std::vector<PossibleMatch>& matches) {
  double sum = 0;
  for (const PossibleMatch& match : matches) sum += match.gain;
  return sum;
}

/// Tries every choice.
double best_total(std::span<const PossibleMatch> rest, std::uint32_t used_columns, int used_rows) {
  if (rest.empty()) return 0;
  const PossibleMatch& pair = rest.front();
  double best = best_total(rest.subspan(1), used_columns, used_rows);
  const auto column = std::uint32_t{1} << pair.column;
  const int row = 1 << pair.row;
  if (pair.gain > 0 && (used_columns & column) == 0 && (used_rows & row) == 0)
    best = std::max(
        best, pair.gain + best_total(rest.subspan(1), used_columns | column, used_rows | row));
  return best;
}

TEST(AssignBest, EqualsTryingEveryChoice) {
  std::mt19937 rng(6);
  std::uniform_real_distribution<double> gain(-0.1, 1);
  for (int round = 0; round < 3'000; ++round) {
    std::vector<PossibleMatch> possible;
    const std::uint32_t rows = rng() % 5 + 1, columns = rng() % 5 + 1;
    for (std::uint32_t r = 0; r < rows; ++r)
      for (std::uint32_t c = 0; c < columns; ++c)
        if (rng() % 3 != 0) possible.push_back({r, c, rng() % 4 == 0 ? 0.5 : gain(rng)});
    if (possible.size() > 16) possible.resize(16);
    std::shuffle(possible.begin(), possible.end(), rng);
    const std::vector<PossibleMatch> matches = assign_best(possible);
    std::set<std::uint32_t> seen_rows, seen_columns;
    for (const PossibleMatch& match : matches) {
      EXPECT_TRUE(seen_rows.insert(match.row).second) << round;
      EXPECT_TRUE(seen_columns.insert(match.column).second) << round;
      EXPECT_GT(match.gain, 0);
      EXPECT_NE(std::ranges::find(possible, match), possible.end()) << round;
    }
    ASSERT_NEAR(total(matches), best_total(possible, 0, 0), 1e-9) << round;
  }
}

TEST(AssignBest, PrefersOneGoodMatchToTwoPoorOnes) {
  const std::vector<PossibleMatch> possible{{0, 0, 0.9}, {0, 1, 0.1}, {1, 0, 0.1}};
  EXPECT_EQ(assign_best(possible), (std::vector<PossibleMatch>{{0, 0, 0.9}}));
}

TEST(AssignBest, TakesNothing) {
  EXPECT_TRUE(assign_best({}).empty());
  EXPECT_TRUE(assign_best(std::vector<PossibleMatch>{{3, 7, 0.0}}).empty());
}

TEST(AssignBest, EndsInBoundedTimeWhenEverythingOverlaps) {
  std::mt19937 rng(6);
  std::uniform_real_distribution<double> gain(0, 1);
  std::vector<PossibleMatch> possible;
  for (std::uint32_t r = 0; r < 300; ++r)
    for (std::uint32_t c = 0; c < 300; ++c) possible.push_back({r, c, gain(rng)});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(assign_best(possible).size(), 300U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace framemill
