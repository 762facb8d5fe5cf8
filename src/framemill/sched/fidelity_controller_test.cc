#include "framemill/sched/fidelity_controller.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using State = FidelityController::State;

/// Cameras whose carried boxes lose `speed` x 2 x age; the controller's share is obeyed as far as
/// `managed` allows, and 5 % of the inferences are audits.
class World {
 public:
  explicit World(const FidelityControllerOptions& options, std::uint32_t seed = 1)
      : controller(options), rng_(seed), age_(40, 0) {}

  /// One second: 40 cameras at 10/s. Returns the true fidelity of its answers.
  double run_second() {
    AgreementCounts truth;
    const double share = std::min(controller.share(), managed);
    for (int i = 0; i < 400; ++i) {
      int& age = age_[static_cast<std::size_t>(i % 40)];
      ++age;
      tokens_ += share;
      const int objects = static_cast<int>(rng_() % (2 * objects_mean + 1));
      // The oldest first; a frame that is inferred is `need_bias` times as wrong as others.
      const bool is_inferred = tokens_ >= 1 && age >= *std::ranges::max_element(age_);
      if (is_inferred) {
        tokens_ -= 1;
        controller.learn(carried(objects, need_bias * 2 * speed * age), age);
        controller.count_exact(objects);
        truth += carried(objects, 0);
        age = 0;
        continue;
      }
      const AgreementCounts counts = carried(objects, 2 * speed * age);
      truth += counts;
      controller.count_inexact();
      const double drawn = has_audits ? .05 / .95 * share / (1 - share) : 0;
      if (static_cast<double>(rng_()) < drawn * 4294967296.0) controller.add_audit(counts);
    }
    tokens_ = std::min(tokens_, 4.0);
    controller.update(managed < 1 ? std::optional(managed) : std::nullopt);
    return fidelity_of(truth.recall(), truth.sure_precision());
  }

  /// Mean over the last third of `seconds`.
  double settle(int seconds) {
    double sum = 0;
    for (int i = 0; i < seconds; ++i) {
      const double fidelity = run_second();
      if (i >= seconds * 2 / 3) sum += fidelity;
    }
    return sum / (seconds - seconds * 2 / 3);
  }

  FidelityController controller;
  double speed = .0065;
  double need_bias = 1;
  unsigned objects_mean = 4;
  double managed = 1;
  bool has_audits = true;

 private:
  AgreementCounts carried(int objects, double lost) {
    const auto bound = static_cast<std::uint32_t>(std::clamp(lost, 0.0, 1.0) * 4294967295.0);
    int found = 0;
    for (int i = 0; i < objects; ++i) found += rng_() >= bound ? 1 : 0;
    return {.found = found, .wanted = objects, .sure_right = found, .sure_given = objects};
  }

  std::mt19937 rng_;
  std::vector<int> age_;
  double tokens_ = 0;
};

TEST(FidelityController, HoldsTheTargetWhateverTheScenes) {
  for (const double target : {.9, .98}) {
    for (const double speed : {.002, .0065, .02}) {
      for (const double need_bias : {1.0, 2.0}) {
        World world({.target = target});
        world.speed = speed;
        world.need_bias = need_bias;
        const double got = world.settle(900);
        EXPECT_NEAR(got, target, .3 * (1 - target))
            << target << ' ' << speed << ' ' << need_bias << ' ' << world.controller.share();
        EXPECT_EQ(world.controller.state(), State::kHolding) << world.controller.explanation();
      }
    }
  }
}

TEST(FidelityController, FollowsAChangeInAMinute) {
  World world({.target = .95});
  world.settle(300);
  const double before = world.controller.share();
  world.speed = .02;
  world.settle(60);
  EXPECT_GT(world.controller.share(), 1.5 * before);
  EXPECT_GT(world.settle(30), .93);
  world.speed = .0065;
  world.settle(200);
  EXPECT_NEAR(world.controller.share(), before, .35 * before);
}

TEST(FidelityController, StandsStillWhereNothingChanges) {
  World world({.target = .95});
  world.settle(600);
  int changes = 0;
  double share = world.controller.share();
  double least = share;
  double most = share;
  for (int i = 0; i < 600; ++i) {
    world.run_second();
    changes += world.controller.share() != share ? 1 : 0;
    share = world.controller.share();
    least = std::min(least, share);
    most = std::max(most, share);
  }
  EXPECT_LE(changes, 60);
  EXPECT_LE(most / least, 1.5);
}

TEST(FidelityController, SaysThatTheBudgetIsTooSmallAndWhatWouldDo) {
  World world({.target = .98, .share_max = .1});
  world.settle(600);
  EXPECT_EQ(world.controller.state(), State::kOverBudget);
  EXPECT_NEAR(world.controller.share(), .1, 1e-9);
  EXPECT_NEAR(world.controller.share_wanted(), .0065 / (.0065 + .02), .1);
  const std::string why = world.controller.explanation();
  EXPECT_NE(why.find("budget"), std::string::npos) << why;
  EXPECT_NE(why.find("10 %"), std::string::npos) << why;
  world.speed = .0005;  // a calm night: now it is enough
  world.settle(600);
  EXPECT_EQ(world.controller.state(), State::kHolding);
}

TEST(FidelityController, SaysThatTheDeviceIsTooSlow) {
  World world({.target = .98});
  world.managed = .1;
  world.settle(600);
  EXPECT_EQ(world.controller.state(), State::kNoCapacity);
  EXPECT_NE(world.controller.explanation().find("device"), std::string::npos);
  world.managed = 1;
  world.settle(600);
  EXPECT_EQ(world.controller.state(), State::kHolding);
}

TEST(FidelityController, DoesNotComplainWhereItHolds) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    World world({.target = .95, .share_max = .2}, seed);  // .115 is enough
    for (int i = 0; i < 900; ++i) {
      world.run_second();
      if (i > 200) {
        ASSERT_NE(world.controller.state(), State::kOverBudget) << seed << ' ' << i;
      }
    }
  }
}

TEST(FidelityController, LearnsFromInferencesWithoutAudits) {
  World world({.target = .95});
  world.speed = .02;
  world.has_audits = false;
  EXPECT_NEAR(world.settle(600), .95, .02);
  EXPECT_EQ(world.controller.state(), State::kLearning);
  EXPECT_EQ(world.controller.figure().state, FidelityState::kNoFrames);  // reports nothing
  EXPECT_NE(world.controller.explanation().find("audits"), std::string::npos);
}

TEST(FidelityController, EmptyScenesNeedTheLeast) {
  World world({.target = .98, .share_min = .03});
  world.objects_mean = 0;
  world.settle(1200);
  EXPECT_NEAR(world.controller.share(), .03, .01);
}

TEST(FidelityController, ATargetOfOneInfersAll) {
  World world({.target = 1});
  EXPECT_EQ(world.settle(100), 1);
  EXPECT_EQ(world.controller.share(), 1);
  World capped({.target = 1, .share_max = .5});
  capped.settle(300);
  EXPECT_EQ(capped.controller.share(), .5);
  EXPECT_EQ(capped.controller.state(), State::kOverBudget);
}

TEST(FidelityController, LostAuditsAreSaidAndLeaveTheLastFigure) {
  World world({.target = .95});
  world.settle(300);
  const double share = world.controller.share();
  const FidelityFigure before = world.controller.figure();
  ASSERT_EQ(before.state, FidelityState::kKnown);
  for (int i = 0; i < 200; ++i) world.controller.add_lost_audit();
  world.run_second();  // though few of the window's others have run yet
  EXPECT_EQ(world.controller.state(), State::kAuditsLost);
  EXPECT_EQ(world.controller.figure(), before);
  EXPECT_NEAR(world.controller.share(), share, .2 * share);
  const std::string why = world.controller.explanation();
  EXPECT_NE(why.find("never ran"), std::string::npos) << why;
  EXPECT_EQ(why.find("fidelity 0"), std::string::npos) << why;
  world.settle(200);
  EXPECT_EQ(world.controller.state(), State::kHolding);
}

TEST(FidelityController, StaysInItsBounds) {  // property
  std::mt19937 rng(83);
  for (int round = 0; round < 50; ++round) {
    const double least = .01 + .2 * static_cast<double>(rng() % 100) / 100;
    const double most = least + (1 - least) * static_cast<double>(rng() % 100) / 100;
    FidelityController controller({.target = .5 + static_cast<double>(rng() % 51) / 100,
                                   .share_min = least,
                                   .share_max = most});
    for (int second = 0; second < 200; ++second) {
      for (int i = 0; i < 20; ++i) {
        const auto wanted = static_cast<std::int64_t>(rng() % 5);
        const auto found = static_cast<std::int64_t>(rng() % static_cast<unsigned>(wanted + 1));
        const AgreementCounts counts{
            .found = found, .wanted = wanted, .sure_right = found, .sure_given = wanted};
        if (rng() % 3 == 0) {
          controller.learn(counts, 1 + static_cast<double>(rng() % 20));
          controller.count_exact(wanted);
        } else {
          controller.count_inexact(rng() % 4 == 0);
          if (rng() % 5 == 0) controller.add_audit(counts, 1 + static_cast<double>(rng() % 20));
        }
      }
      const double share = controller.update(
          rng() % 2 == 0 ? std::optional(static_cast<double>(rng() % 100) / 100) : std::nullopt);
      ASSERT_GE(share, least * (1 - 1e-12));
      ASSERT_LE(share, most * (1 + 1e-12));
      ASSERT_GE(controller.share_wanted(), 0);
      ASSERT_LE(controller.share_wanted(), 1);
      ASSERT_FALSE(controller.explanation().empty());
    }
  }
}

TEST(FidelityController, TheMostMayFallBelowTheLeastAndRiseAgain) {
  FidelityController controller({.target = .999, .share_min = .3, .share_max = .5});
  EXPECT_DOUBLE_EQ(controller.share(), .5);
  controller.set_share_max(.1);  // frames come faster than thought
  EXPECT_DOUBLE_EQ(controller.share(), .1);
  EXPECT_DOUBLE_EQ(controller.update(), .1);
  controller.set_share_max(.8);
  EXPECT_DOUBLE_EQ(controller.share(), .8);
}

TEST(FidelityController, AMostThatWasLowForAWhileCostsNothing) {
  FidelityController controller({.target = .998, .share_max = .16});  // by a guess, at the start
  EXPECT_DOUBLE_EQ(controller.share(), .16);
  controller.set_share_max(.8);
  const double share = controller.share();
  EXPECT_GT(share, .7);
  for (const bool is_by_bounds : {true, false}) {
    if (is_by_bounds) {
      controller.set_bounds(.02, .16);
    } else {
      controller.set_share_max(.16);
    }
    for (int second = 0; second < 30; ++second) EXPECT_DOUBLE_EQ(controller.update(), .16);
    controller.set_share_max(.8);
    EXPECT_NEAR(controller.share(), share, 1e-9);
  }
}

TEST(FidelityController, WhatLiesAboveTheMostDoesNotDelayTheWayDown) {
  FidelityController controller({.target = .998, .share_max = .16});
  const AgreementCounts good{.found = 5000, .wanted = 5000, .sure_right = 5000, .sure_given = 5000};
  controller.learn(good, 5);
  EXPECT_NEAR(controller.update(), .95 * .16, 1e-9);
  controller.set_share_max(.8);
  EXPECT_NEAR(controller.share(), .95 * .16, 1e-9) << "what is not wanted is forgotten";
}

}  // namespace
}  // namespace framemill
