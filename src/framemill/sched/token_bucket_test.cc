#include "framemill/sched/token_bucket.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/core/inference_budget.h"

namespace framemill {
namespace {

using enum InferenceCause;

/// One letter a sampled frame that asks for `cause`: i(nferred) or -.
std::string asked_each_frame(TokenBucket& bucket, InferenceCause cause, int frames) {
  std::string letters;
  for (int i = 0; i < frames; ++i) {
    bucket.earn();
    letters += bucket.try_take(cause) ? 'i' : '-';
  }
  return letters;
}

TEST(TokenBucket, FollowsTheTable) {
  const std::tuple<const char*, double, std::size_t, InferenceCause, const char*> cases[] = {
      {"a full bucket, then each fifth", .2, 1, kNeed, "i---i----i----i"},
      {"all of them", 1, 1, kNeed, "iiiiiiiiiiiiiii"},
      {"three of four", .75, 1, kNeed, "iiii-iii-iii-ii"},
      {"twenty cameras: one token stays for a cut", .2, 20, kNeed, "i---i----i----i"},
      {"a cut may use it", .2, 20, kSceneCut, "ii--i----i----i"},
      {"a due audit as well", .2, 20, kDueAudit, "ii--i----i----i"},
      {"an audit not", .2, 20, kAudit, "i---i----i----i"},
      {"critical frames wait for nothing", .2, 1, kCritical, "iiiiiiiiiiiiiii"},
      {"nor do first ones", .2, 1, kStart, "iiiiiiiiiiiiiii"},
  };
  for (const auto& [name, budget, cameras, cause, want] : cases) {
    TokenBucket bucket(budget, cameras);
    EXPECT_EQ(asked_each_frame(bucket, cause, 15), want) << name;
  }
}

TEST(TokenBucket, BurstIsATenthOfTheCamerasAndAtLeastOne) {
  const std::tuple<std::size_t, double> cases[] = {
      {1, 1}, {10, 1}, {15, 1.5}, {24, 2.4}, {1000, 100}};
  for (const auto& [cameras, want] : cases)
    EXPECT_DOUBLE_EQ(TokenBucket(.5, cameras).burst(), want) << cameras;
}

TEST(TokenBucket, AStartBringsItsOwnToken) {
  TokenBucket bucket(.1, 1);
  EXPECT_TRUE(bucket.try_take(kStart));
  EXPECT_DOUBLE_EQ(bucket.level(), 1);
}

TEST(TokenBucket, DebtIsPaidBackBeforeNeedIsServed) {
  TokenBucket bucket(.5, 10);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.try_take(kCritical));
  EXPECT_DOUBLE_EQ(bucket.level(), -2);
  EXPECT_FALSE(bucket.try_take(kSceneCut));
  EXPECT_EQ(asked_each_frame(bucket, kNeed, 8), "-----i-i");
}

TEST(TokenBucket, CutsBorrowNoMoreThanAllowed) {
  TokenBucket bucket(.5, 10, 2);
  EXPECT_TRUE(bucket.try_take(kNeed));
  EXPECT_FALSE(bucket.try_take(kNeed));
  EXPECT_TRUE(bucket.try_take(kSceneCut));
  EXPECT_TRUE(bucket.try_take(kDueAudit));
  EXPECT_FALSE(bucket.try_take(kSceneCut));
  EXPECT_DOUBLE_EQ(bucket.level(), -2);
}

TEST(TokenBucket, EarningManyAtOnceFillsItAndNoMore) {
  TokenBucket bucket(1, 10);
  bucket.earn(std::numeric_limits<std::int64_t>::max());
  EXPECT_DOUBLE_EQ(bucket.level(), 2);     // the burst and what the last frame earned
  TokenBucket slow(1e-12, 1'000'000'000);  // below the least share; more cameras than there are
  for (int i = 0; i < 300'000; ++i) EXPECT_TRUE(slow.try_take(kCritical));
  slow.earn(std::numeric_limits<std::int64_t>::max());
  EXPECT_NEAR(slow.level(), slow.burst(), 1e-8);
}

TEST(TokenBucket, ANewBudgetKeepsTheTokens) {
  TokenBucket bucket(.1, 20);
  bucket.set_budget(.5);
  EXPECT_DOUBLE_EQ(bucket.level(), 2);
  EXPECT_DOUBLE_EQ(bucket.budget(), .5);
  EXPECT_EQ(asked_each_frame(bucket, kNeed, 6), "ii-i-i");
}

/// What happened at one sampled frame or between two.
struct Event {
  bool is_sample = false;
  int inferences = 0;
  int starts = 0;
  double level = 0;     ///< afterwards
  double forgiven = 0;  ///< since the beginning
};

/// Looks at every window: from any sampled frame on to any later event.
void expect_bound(const std::vector<Event>& events, const TokenBucket& bucket, int round) {
  for (std::size_t first = 0; first < events.size(); ++first) {
    if (!events[first].is_sample) continue;
    double allowed = bucket.burst();
    double forgiven = first > 0 ? events[first - 1].forgiven : 0;
    int inferences = 0;
    for (std::size_t i = first; i < events.size(); ++i) {
      allowed += (events[i].is_sample ? bucket.budget() : 0) + events[i].starts;
      allowed += events[i].forgiven - std::exchange(forgiven, events[i].forgiven);
      inferences += events[i].inferences;
      ASSERT_LE(inferences, allowed + std::max(0.0, -events[i].level) + 1e-6)
          << "round " << round << " window " << first << ".." << i;
    }
  }
}

TEST(TokenBucket, NoWindowExceedsTheBudget) {  // property
  std::mt19937 rng(5);
  const auto pick = [&rng](int from, int to) {
    return std::uniform_int_distribution<int>(from, to)(rng);
  };
  for (int round = 0; round < 200; ++round) {
    const auto cameras = static_cast<std::size_t>(pick(1, 60));
    const int borrow_max = pick(0, 3) == 0 ? 2 : 0;
    TokenBucket bucket(pick(1, 100) / 100.0, cameras, borrow_max);
    const int critical_percent = pick(0, 2) == 0 ? pick(0, 50) : 0;
    const int debt_max = pick(0, 20);
    if (debt_max < 10) bucket.set_debt_max(static_cast<std::size_t>(debt_max));
    std::vector<Event> events;
    for (int i = 0; i < 300; ++i) {
      Event event{.is_sample = pick(0, 3) != 0};
      if (event.is_sample) bucket.earn();
      for (int asked = pick(0, 3); asked > 0; --asked) {
        const auto cause = static_cast<InferenceCause>(pick(0, 5));
        if (cause == kCritical && pick(0, 99) >= critical_percent) continue;
        const double before = bucket.level() - bucket.forgiven();
        const bool is_taken = bucket.try_take(cause);
        ASSERT_NEAR(bucket.level() - bucket.forgiven(),
                    before - (is_taken && cause != kStart ? 1 : 0), 1e-9);
        if (cause >= kNeed && is_taken) {
          ASSERT_GE(bucket.level(), 0);
        }
        event.inferences += is_taken ? 1 : 0;
        event.starts += cause == kStart ? 1 : 0;
      }
      event.level = bucket.level();
      event.forgiven = bucket.forgiven();
      if (critical_percent == 0) {
        ASSERT_GE(event.level, -borrow_max);
      }
      events.push_back(event);
    }
    expect_bound(events, bucket, round);
  }
}

TEST(TokenBucket, TheWholeShareIsThereForThoseWhoAsk) {
  for (const double budget : {.01, .1, .2, .29, 1.0 / 3, .7, 1.0}) {
    for (const std::size_t cameras : {1U, 15U, 24U, 100U}) {
      TokenBucket bucket(budget, cameras);
      int inferred = 0;
      for (int i = 0; i < 100'000; ++i) {
        bucket.earn();
        inferred += bucket.try_take(kNeed) ? 1 : 0;
      }
      EXPECT_NEAR(inferred, budget * 100'000, bucket.burst() + 1) << budget << ' ' << cameras;
    }
  }
}

TEST(TokenBucket, DebtOfCriticalCamerasStaysBelowTheirNumber) {
  // Their frames come one after the other, ahead of all others: the worst order there is.
  for (const std::size_t critical : {1U, 5U, 10U}) {
    constexpr std::size_t kCameras = 50;
    TokenBucket bucket(static_cast<double>(critical) / kCameras, kCameras);
    double least = 0;
    for (int period = 0; period < 1000; ++period) {
      for (std::size_t camera = 0; camera < kCameras; ++camera) {
        bucket.earn();
        (void)bucket.try_take(camera < critical ? kCritical : kNeed);
        least = std::min(least, bucket.level());
      }
    }
    EXPECT_GT(least, -static_cast<double>(critical)) << critical;
    EXPECT_GE(bucket.level(), 0) << critical;
  }
}

/// 50 cameras, two of them critical, the budget the least for these; `down` of the others send
/// nothing for 6000 periods. Returns the inferences of the others in 40 periods after that.
int served_after_an_outage(std::size_t down, bool is_tick) {
  constexpr std::size_t kCameras = 50;
  TokenBucket bucket(.05, kCameras);
  bucket.set_debt_max(2);
  int served = 0;
  std::vector<BudgetRequest> requests;
  std::vector<std::size_t> chosen;
  for (int period = 0; period < 6040; ++period) {
    const std::size_t present = period < 6000 ? kCameras - down : kCameras;
    requests.clear();
    for (std::size_t camera = 0; camera < present; ++camera) {
      const InferenceCause cause = camera < 2 ? kCritical : kNeed;
      if (is_tick) {
        requests.push_back({.cause = cause, .worth = 1});
        continue;
      }
      bucket.earn();
      const bool is_taken = bucket.try_take(cause);
      served += is_taken && cause == kNeed && period >= 6000 ? 1 : 0;
    }
    if (is_tick) {
      choose_within_budget(requests, bucket, chosen);
      if (period >= 6000) served += static_cast<int>(chosen.size()) - 2;
    }
    EXPECT_GE(bucket.level(), -2);
  }
  EXPECT_EQ(bucket.forgiven() > 0, down > 0 && !is_tick);
  return served;
}

TEST(TokenBucket, AnOutageOfOthersIsNotPaidBackForHours) {
  for (const bool is_tick : {false, true}) {
    // 2.5 are earned in a period, of which the critical cameras take 2.
    EXPECT_NEAR(served_after_an_outage(0, is_tick), 20, 3) << is_tick;
    EXPECT_GE(served_after_an_outage(30, is_tick), 12) << is_tick;
  }
}

// --- a tick at once

TEST(ChooseWithinBudget, PrecedenceThenWorthThenPlace) {
  TokenBucket bucket(.5, 10);
  std::vector<std::size_t> chosen;
  // Half a token a frame on top of one: three whole ones at the end, none kept back.
  const std::vector<BudgetRequest> requests{{kNeed, 9}, {kNeed, 1}, {kAudit, 50, true, false},
                                            {kNeed, 5}, {kNeed, 5}, {kSceneCut, 0}};
  choose_within_budget(requests, bucket, chosen);
  EXPECT_EQ(chosen, (std::vector<std::size_t>{0, 3, 5}));
}

TEST(ChooseWithinBudget, CriticalAndFirstFramesAlwaysGo) {
  TokenBucket bucket(.1, 1);
  std::vector<std::size_t> chosen;
  const std::vector<BudgetRequest> requests{
      {kCritical, 0}, {kStart, 0}, {kNeed, 1e9}, {kCritical, 0}, {kSceneCut, 1}};
  choose_within_budget(requests, bucket, chosen);
  EXPECT_EQ(chosen, (std::vector<std::size_t>{0, 1, 3}));
  EXPECT_LT(bucket.level(), 0);
}

TEST(ChooseWithinBudget, NothingWantedOnlyEarns) {
  TokenBucket bucket(.5, 10);
  (void)bucket.try_take(kNeed);
  std::vector<std::size_t> chosen{7};
  choose_within_budget({}, bucket, chosen);
  EXPECT_TRUE(chosen.empty());
  const std::vector<BudgetRequest> requests(1, {.worth = 1, .is_wanted = false});
  choose_within_budget(requests, bucket, chosen);
  EXPECT_TRUE(chosen.empty());
  EXPECT_DOUBLE_EQ(bucket.level(), .5);
}

TEST(ChooseWithinBudget, WorthThatIsNotANumberIsNone) {
  TokenBucket bucket(.01, 1);
  std::vector<std::size_t> chosen;
  const std::vector<BudgetRequest> requests{{kNeed, std::nan("")}, {kNeed, .001}};
  choose_within_budget(requests, bucket, chosen);
  EXPECT_EQ(chosen, std::vector<std::size_t>{1});
}

std::vector<BudgetRequest> random_tick(std::mt19937& rng, std::size_t frames, bool has_critical) {
  std::vector<BudgetRequest> requests(frames);
  for (BudgetRequest& request : requests) {
    const unsigned kind = rng() % 20;
    request.cause = kind == 0                   ? kSceneCut
                    : kind == 1                 ? kAudit
                    : kind == 2                 ? kDueAudit
                    : kind == 3 && has_critical ? kCritical
                                                : kNeed;
    request.is_new_sample = kind != 1 && kind != 2;
    request.worth = static_cast<double>(rng() % 100);
    request.is_wanted = rng() % 4 != 0;
  }
  return requests;
}

/// Within a tick need has no reserve to respect: a token is a token, as for a cut.
InferenceCause in_a_tick(InferenceCause cause) {
  return cause == kNeed || cause == kAudit ? kSceneCut : cause;
}

TEST(ChooseWithinBudget, IsWhatABucketAllowsFrameByFrame) {  // property
  std::mt19937 rng(23);
  for (int round = 0; round < 300; ++round) {
    const std::size_t cameras = 1 + rng() % 60;
    const double budget = static_cast<double>(1 + rng() % 100) / 100;
    TokenBucket bucket(budget, cameras);
    TokenBucket replay = bucket;
    std::vector<Event> events;
    std::vector<std::size_t> chosen;
    for (int tick = 0; tick < 8; ++tick) {
      const auto requests = random_tick(rng, cameras, round % 3 == 0);
      choose_within_budget(requests, bucket, chosen);
      ASSERT_TRUE(std::ranges::is_sorted(chosen));
      for (std::size_t i = 0; i < requests.size(); ++i) {
        if (requests[i].is_new_sample) replay.earn();
        const bool is_chosen = std::ranges::binary_search(chosen, i);
        if (is_chosen) {
          ASSERT_TRUE(requests[i].is_wanted);
          ASSERT_TRUE(replay.try_take(in_a_tick(requests[i].cause)))
              << "round " << round << " at " << i;
        } else if (requests[i].is_wanted) {
          ASSERT_NE(requests[i].cause, kCritical);
        }
        events.push_back({.is_sample = requests[i].is_new_sample,
                          .inferences = is_chosen ? 1 : 0,
                          .level = replay.level()});
      }
      ASSERT_DOUBLE_EQ(replay.level(), bucket.level());
    }
    expect_bound(events, bucket, round);
  }
}

TEST(ChooseWithinBudget, NoOtherChoiceIsWorthMore) {  // all of them tried
  std::mt19937 rng(29);
  for (int round = 0; round < 200; ++round) {
    const std::size_t cameras = round % 2 == 0 ? 10 : 25;
    TokenBucket before(static_cast<double>(5 + rng() % 95) / 100, cameras);
    if (rng() % 2 == 0) (void)before.try_take(kCritical);
    constexpr std::size_t kFrames = 10;
    // Ends without need in sight, so that nothing is worth saving for.
    std::vector<BudgetRequest> requests(kFrames);
    for (std::size_t i = 0; i < kFrames; ++i)
      requests[i] = {.cause = rng() % 10 == 0 ? kSceneCut : kNeed,
                     .worth = i < 6 ? static_cast<double>(rng() % 100) : 0,
                     .is_wanted = i < 6};
    requests.resize(kFrames + 20, {.is_wanted = false});
    const auto value_of = [&](std::size_t i) {
      return requests[i].worth + (requests[i].cause == kSceneCut ? 1e4 : 0);
    };
    double best = 0;
    for (unsigned subset = 0; subset < 1U << 6; ++subset) {
      TokenBucket replay = before;
      double value = 0;
      bool is_possible = true;
      for (std::size_t i = 0; i < 6 && is_possible; ++i) {
        replay.earn();
        if ((subset >> i & 1U) == 0) continue;
        is_possible = replay.try_take(in_a_tick(requests[i].cause));
        value += value_of(i);
      }
      if (is_possible) best = std::max(best, value);
    }
    TokenBucket after = before;
    std::vector<std::size_t> chosen;
    choose_within_budget(requests, after, chosen);
    double got = 0;
    for (const std::size_t i : chosen) got += value_of(i);
    EXPECT_NEAR(got, best, 1e-6) << "round " << round;
  }
}

TEST(ChooseWithinBudget, ComesNearTheShareAndTheBestWorth) {
  std::mt19937 rng(31);
  for (const double budget : {.05, .1, .2, .5}) {
    constexpr std::size_t kCameras = 24;
    TokenBucket bucket(budget, kCameras);
    std::size_t inferred = 0;
    double worth = 0;
    double best_worth = 0;
    constexpr int kTicks = 2000;
    std::vector<std::size_t> chosen;
    for (int tick = 0; tick < kTicks; ++tick) {
      std::vector<BudgetRequest> requests(kCameras);
      for (BudgetRequest& request : requests) request.worth = static_cast<double>(rng() % 1000);
      choose_within_budget(requests, bucket, chosen);
      inferred += chosen.size();
      for (const std::size_t i : chosen) worth += requests[i].worth;
      std::ranges::sort(requests, std::ranges::greater(), &BudgetRequest::worth);
      const double count = budget * kCameras;
      for (std::size_t i = 0; i < requests.size(); ++i)
        best_worth += requests[i].worth * std::clamp(count - static_cast<double>(i), 0.0, 1.0);
    }
    const double share = static_cast<double>(inferred) / (kTicks * kCameras);
    // The price of keeping every window, also those that begin or end inside a tick.
    EXPECT_LE(share, budget * 1.001) << budget;
    EXPECT_GE(share, .95 * budget) << budget;
    EXPECT_GE(worth, .88 * best_worth) << budget;
  }
}

TEST(ChooseWithinBudget, IsFairWhenAllNeedsAreEqualToAge) {
  // Worth grows with the time since the last inference: every camera gets its turn.
  constexpr std::size_t kCameras = 24;
  TokenBucket bucket(.2, kCameras);
  std::vector<int> age(kCameras, 0);
  std::vector<int> inferred(kCameras, 0);
  int oldest = 0;
  std::vector<std::size_t> chosen;
  for (int tick = 0; tick < 1000; ++tick) {
    std::vector<BudgetRequest> requests(kCameras);
    for (std::size_t i = 0; i < kCameras; ++i) requests[i].worth = ++age[i];
    choose_within_budget(requests, bucket, chosen);
    for (const std::size_t i : chosen) {
      ++inferred[i];
      age[i] = 0;
    }
    oldest = std::max(oldest, *std::ranges::max_element(age));
  }
  const auto [least, most] = std::ranges::minmax(inferred);
  EXPECT_LE(most - least, .05 * most);
  EXPECT_LE(oldest, 8);  // five on average
}

TEST(LeastBudget, FollowsTheTable) {
  const std::tuple<const char*, std::vector<BudgetedCamera>, double, double> cases[] = {
      {"no cameras", {}, 0, 0},
      {"none critical", {{10}, {10}}, 0, 0},
      {"one of two", {{10, true}, {10}}, .5, 10},
      {"all", {{10, true}, {5, true}}, 1, 15},
      {"one of three, rounded up", {{10, true}, {10}, {10}}, .334, 10},
      {"by rate, not by number", {{25, true}, {5}, {10}, {10}}, .5, 25},
      {"a whole thousandth stays", {{29, true}, {71}}, .29, 29},
      {"nothing sampled", {{0, true}}, 0, 0},
  };
  for (const auto& [name, cameras, share, per_second] : cases) {
    EXPECT_DOUBLE_EQ(least_budget_share(cameras), share) << name;
    EXPECT_DOUBLE_EQ(least_budget_per_second(cameras), per_second) << name;
    EXPECT_TRUE(is_budget_enough(share, cameras)) << name;
    if (share > .01) {
      EXPECT_FALSE(is_budget_enough(share - .01, cameras)) << name;
    }
  }
}

TEST(TokenBucket, TheBurstFollowsTheNumberOfCameras) {
  TokenBucket bucket(.5, 10);
  EXPECT_DOUBLE_EQ(bucket.burst(), 1);
  bucket.set_cameras(40);
  EXPECT_DOUBLE_EQ(bucket.burst(), 4);
  EXPECT_DOUBLE_EQ(bucket.level(), 1);  // more room, no gift
  bucket.earn(100);
  EXPECT_DOUBLE_EQ(bucket.level(), 4.5);
  bucket.set_cameras(20);
  EXPECT_DOUBLE_EQ(bucket.level(), 2);
  bucket.set_cameras(1);
  EXPECT_DOUBLE_EQ(bucket.burst(), 1);
}

}  // namespace
}  // namespace framemill
