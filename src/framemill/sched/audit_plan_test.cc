#include "framemill/sched/audit_plan.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/core/policy.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using Verdict = AuditPlan::Verdict;

constexpr TimePoint kStart{};

/// Of so many cameras, all audited.
AuditPlan plan_of(std::size_t cameras, const AuditOptions& options = {}) {
  AuditPlan plan(options);
  for (std::size_t i = 0; i < cameras; ++i) plan.add_camera(PolicyKind::kAdaptive);
  return plan;
}

TEST(AuditPlan, CamerasOfOtherPoliciesNeitherCountNorAreDrawn) {
  AuditPlan plan({.share = .05});
  for (const PolicyKind policy : {PolicyKind::kFull, PolicyKind::kHold, PolicyKind::kSimilarity}) {
    plan.add_camera(policy);
  }
  plan.add_camera(PolicyKind::kAdaptive);
  constexpr CameraIndex kAdaptive = 3;
  int inferred = 0;
  for (int i = 0; i < 20'000; ++i) {
    for (CameraIndex camera = 0; camera < kAdaptive; ++camera) {
      EXPECT_FALSE(plan.is_audited(camera));
      plan.count_inference(camera);
      EXPECT_EQ(plan.consider(camera, i, kStart), Verdict::kNotDrawn);
    }
    if (i % 5 == 0) {
      plan.count_inference(kAdaptive);
      ++inferred;
    } else if (plan.consider(kAdaptive, i, kStart) == Verdict::kDrawn) {
      EXPECT_EQ(plan.take().camera, kAdaptive);
    }
    if (i % 10 == 0) plan.begin_period();
  }
  EXPECT_TRUE(plan.is_audited(kAdaptive));
  EXPECT_NEAR(static_cast<double>(plan.drawn()), .05 / .95 * inferred, 25);
}

TEST(AuditPlan, ShareZeroDrawsNothing) {
  AuditPlan plan = plan_of(1, {.share = 0});
  for (int i = 0; i < 10'000; ++i) {
    plan.count_inference(0);
    EXPECT_EQ(plan.consider(0, i, kStart), Verdict::kNotDrawn);
    if (i % 100 == 0) plan.begin_period();
  }
  EXPECT_EQ(plan.front(), nullptr);
  EXPECT_EQ(plan.drawn(), 0);
}

TEST(AuditPlan, WaitsInOrderAndIsDueThenLost) {
  AuditPlan plan = plan_of(6, {.share = .5, .first_share_inferred = 1});  // draws everything
  EXPECT_FALSE(plan.next_expiry());
  EXPECT_EQ(plan.consider(3, 7, kStart), Verdict::kDrawn);
  EXPECT_EQ(plan.consider(4, 9, kStart + 500ms), Verdict::kDrawn);
  ASSERT_NE(plan.front(), nullptr);
  EXPECT_EQ(*plan.front(), (WaitingAudit{.camera = 3, .seq = 7, .drawn_at = kStart, .weight = 1}));
  EXPECT_FALSE(plan.is_due(kStart + 999ms));
  EXPECT_TRUE(plan.is_due(kStart + 1s));
  std::vector<WaitingAudit> lost;
  plan.expire(kStart + 2s, lost);
  EXPECT_TRUE(lost.empty());
  ASSERT_TRUE(plan.next_expiry());
  plan.expire(*plan.next_expiry(), lost);
  ASSERT_EQ(lost.size(), 1U);
  EXPECT_EQ(lost[0].seq, 7);
  EXPECT_EQ(plan.lost(), 1);
  EXPECT_EQ(plan.take().seq, 9);
  EXPECT_EQ(plan.waiting(), 0U);
  EXPECT_FALSE(plan.is_due(kStart + 9s));
}

TEST(AuditPlan, WhatIsHeldBackLetsOthersGoAheadAndIsLostLikeThem) {
  AuditPlan plan = plan_of(6, {.share = .5, .first_share_inferred = 1});
  for (const CameraIndex camera : {3U, 4U, 5U})
    EXPECT_EQ(plan.consider(camera, 7, kStart), Verdict::kDrawn);
  plan.hold(3, 7);
  plan.hold(4, 7);
  plan.hold(9, 9);  // does not wait
  EXPECT_EQ(plan.waiting(), 1U);
  EXPECT_EQ(plan.front()->camera, 5U);
  plan.release(4, 7);
  EXPECT_EQ(plan.take().camera, 4U);
  EXPECT_EQ(plan.take().camera, 5U);
  EXPECT_EQ(plan.front(), nullptr);
  EXPECT_FALSE(plan.is_due(kStart + 1s));
  std::vector<WaitingAudit> lost;
  plan.expire(kStart + 3s, lost);
  ASSERT_EQ(lost.size(), 1U);
  EXPECT_EQ(lost[0].camera, 3U);
  EXPECT_EQ(plan.consider(3, 8, kStart + 3s), Verdict::kDrawn);
  plan.drop(3, 8);
  EXPECT_EQ(plan.waiting(), 0U);
  EXPECT_EQ(plan.lost(), 1);
}

TEST(AuditPlan, AFullQueueLosesAndSaysSo) {
  AuditPlan plan = plan_of(1, {.share = .5, .waiting_max = 3, .first_share_inferred = 1});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(plan.consider(0, i, kStart), Verdict::kDrawn);
  EXPECT_EQ(plan.consider(0, 3, kStart), Verdict::kLost);
  EXPECT_EQ(plan.drawn(), 4);
  EXPECT_EQ(plan.lost(), 1);
  (void)plan.take();
  EXPECT_EQ(plan.consider(0, 4, kStart), Verdict::kDrawn);
}

/// What runs through a plan: 20 cameras, 200 frames a period, of which `share_of(period)` inferred.
struct Trial {
  double audit_share = 0;  ///< of all inferences
  std::vector<std::pair<CameraIndex, std::int64_t>> drawn;
  double weighted_value = 0;  ///< mean of a frame's value as the audits tell it
  double true_value = 0;      ///< over all inexact frames
};

template <typename Share>
Trial run(const AuditOptions& options, int periods, Share share_of, std::uint32_t seed = 1) {
  constexpr int kCameras = 20;
  constexpr int kRounds = 10;
  std::mt19937 rng(seed);
  AuditPlan plan = plan_of(kCameras, options);
  Trial result;
  std::int64_t inferences = 0;
  double weights = 0, values = 0, inexact = 0, true_values = 0;
  for (int period = 0; period < periods; ++period) {
    const double share = share_of(period);
    for (int round = 0; round < kRounds; ++round) {
      for (CameraIndex camera = 0; camera < kCameras; ++camera) {
        if (std::uniform_real_distribution<double>(0, 1)(rng) < share) {
          plan.count_inference(camera);
          ++inferences;
          continue;
        }
        const std::int64_t seq = period * kRounds + round;
        const double value = 1 - share + .02 * camera;  // a rush is worse than a calm hour
        inexact += 1;
        true_values += value;
        if (plan.consider(camera, seq, kStart) != Verdict::kDrawn) continue;
        const WaitingAudit audit = plan.take();
        result.drawn.emplace_back(audit.camera, audit.seq);
        weights += audit.weight;
        values += audit.weight * value;
      }
    }
    plan.begin_period();
  }
  const auto audits = static_cast<double>(result.drawn.size());
  result.audit_share = audits / (audits + static_cast<double>(inferences));
  result.weighted_value = values / weights;
  result.true_value = true_values / inexact;
  return result;
}

double steady(int) { return .2; }
double scarce(int) { return .05; }
double almost_all(int) { return .9; }
double in_waves(int period) { return .35 + .3 * std::sin(period / 20.0); }
double in_jumps(int period) { return period / 30 % 2 == 0 ? .9 : .1; }
double rising(int period) { return std::min(1.0, period / 2000.0); }

TEST(AuditPlan, AuditsAreTheShareOfTheInferences) {
  for (const double share : {.02, .05, .2}) {
    for (const auto load : {steady, scarce, in_waves})
      EXPECT_NEAR(run({.share = share}, 2000, load).audit_share, share, .12 * share)
          << share << ' ' << load(100);
    // Where hardly anything is inexact there is less to audit.
    for (const auto load : {almost_all, in_jumps, rising})
      EXPECT_LE(run({.share = share}, 2000, load).audit_share, 1.05 * share)
          << share << ' ' << load(100);
  }
}

TEST(AuditPlan, ARushDoesNotFloodTheQueue) {
  AuditPlan plan = plan_of(1);
  std::int64_t seq = 0;
  const auto run_period = [&](int inferred, int inexact) {
    for (int i = 0; i < inferred; ++i) plan.count_inference(0);
    for (int i = 0; i < inexact; ++i) (void)plan.consider(0, seq++, kStart);
    while (plan.front() != nullptr) (void)plan.take();
    plan.begin_period();
  };
  for (int period = 0; period < 200; ++period) run_period(25, 0);   // capacity to spare
  for (int period = 0; period < 40; ++period) run_period(12, 113);  // 10 s of overload, 48/s
  EXPECT_LE(plan.drawn(), 70);                                      // 25 are due
  EXPECT_EQ(plan.lost(), 0);
  const std::int64_t before = plan.drawn();
  for (int period = 0; period < 400; ++period) run_period(12, 113);
  EXPECT_NEAR(static_cast<double>(plan.drawn() - before), 400 * 12 / 19.0, 50);
}

TEST(AuditPlan, WeightsMakeUpForTheLoad) {  // no bias over many runs
  for (const auto load : {steady, in_waves, in_jumps}) {
    double error = 0;
    constexpr int kRounds = 25;
    for (std::uint32_t seed = 1; seed <= kRounds; ++seed) {
      const Trial result = run({.seed = seed}, 1000, load, seed);
      error += result.weighted_value - result.true_value;
    }
    EXPECT_LT(std::abs(error / kRounds), .005) << load(100);
  }
}

TEST(AuditPlan, NoCameraAndNoPlaceInTimeIsPreferred) {
  const Trial result = run({}, 20'000, steady);
  std::vector<double> by_camera(20, 0);
  std::vector<double> by_round(10, 0);
  for (const auto& [camera, seq] : result.drawn) {
    ++by_camera[camera];
    ++by_round[static_cast<std::size_t>(seq % 10)];
  }
  const auto chi_square = [&](const std::vector<double>& counts) {
    const double want =
        static_cast<double>(result.drawn.size()) / static_cast<double>(counts.size());
    double sum = 0;
    for (const double count : counts) sum += (count - want) * (count - want) / want;
    return sum;
  };
  EXPECT_LT(chi_square(by_camera), 43.8);  // 19 degrees of freedom, p = .001
  EXPECT_LT(chi_square(by_round), 27.9);   // 9
}

TEST(AuditPlan, OrderWithinAPeriodDoesNotMatter) {
  std::mt19937 rng(7);
  std::set<std::pair<CameraIndex, std::int64_t>> drawn[2];
  AuditPlan plans[2] = {plan_of(30), plan_of(30)};
  for (int period = 0; period < 200; ++period) {
    std::vector<std::pair<CameraIndex, std::int64_t>> frames;
    for (CameraIndex camera = 0; camera < 30; ++camera)
      for (int i = 0; i < 5; ++i) frames.emplace_back(camera, period * 5 + i);
    for (std::size_t which = 0; which < 2; ++which) {
      if (which == 1) std::ranges::shuffle(frames, rng);
      AuditPlan& plan = plans[which];
      for (const auto& [camera, seq] : frames) {
        if ((camera + static_cast<unsigned>(seq)) % 5 == 0)
          plan.count_inference(camera);
        else if (plan.consider(camera, seq, kStart) == Verdict::kDrawn)
          drawn[which].emplace(camera, seq);
      }
      while (plan.front() != nullptr) (void)plan.take();
      plan.begin_period();
    }
  }
  EXPECT_GT(drawn[0].size(), 200U);
  EXPECT_EQ(drawn[0], drawn[1]);
}

TEST(AuditPlan, AnotherSeedDrawsOthers) {
  const Trial first = run({.seed = 1}, 500, steady);
  EXPECT_EQ(first.drawn, run({.seed = 1}, 500, steady).drawn);
  EXPECT_NE(first.drawn, run({.seed = 2}, 500, steady).drawn);
}

}  // namespace
}  // namespace framemill
