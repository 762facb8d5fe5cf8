// The ladder and the fidelity controller beside each other, as LiveDispatch and AuditDesk have
// them: the ladder goes by the share that the controller wants, the controller by audits of what
// the rungs answered. Seconds are those of a manual clock. Neither may drive the other: what can be
// held is held, what cannot is said, and both come to rest.

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "framemill/sched/fidelity_controller.h"
#include "framemill/sched/ladder_policy.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using State = FidelityController::State;

constexpr std::size_t kCameras = 20;
constexpr double kRate = 10;  // sampled frames a second of each
constexpr std::array kCost{.015, .010, .005};
constexpr double kObjects = 5;

struct Scenes {
  double target = .98;
  double speed = .0065;  ///< k of the controller: what boxes lose with age
  std::array<double, 3> quality{1, .97, .85};
  double capacity = 1;  ///< device seconds a second
  double share_max = 1;
};

class World {
 public:
  World(const Scenes& at_first, std::uint32_t seed)
      : scenes(at_first),
        controller({.target = at_first.target, .share_max = at_first.share_max}),
        ladder({.ladders = {{.quality = {1, .95, .9}}},
                .cameras = std::vector<LadderCamera>(kCameras)}),
        rng_(seed) {}

  void run(int seconds) {
    for (int i = 0; i < seconds; ++i) run_second();
  }

  /// Of the answers, were they counted out.
  [[nodiscard]] double true_fidelity() const {
    double by_rungs = 0;
    for (CameraIndex i = 0; i < kCameras; ++i)
      by_rungs += (1 - scenes.quality[ladder.rung_of(i)]) / kCameras;
    return 1 - by_rungs - scenes.speed * (1 / share() - 1);
  }
  /// What the device makes of the share that it is to infer.
  [[nodiscard]] double share() const { return std::min(controller.share(), share_managed()); }
  [[nodiscard]] std::size_t cheapest() const {
    std::size_t rung = 0;
    for (CameraIndex i = 0; i < kCameras; ++i) rung = std::max(rung, ladder.rung_of(i));
    return rung;
  }

  Scenes scenes;  // may change
  FidelityController controller;
  LadderPolicy ladder;
  std::array<int, kCameras> changes{};  // may be cleared
  std::vector<double> shares;           // inferred in each second; likewise

 private:
  [[nodiscard]] double share_managed() const {
    double cost = 0;
    for (CameraIndex i = 0; i < kCameras; ++i) cost += kRate * kCost[ladder.rung_of(i)];
    return std::min(1.0, scenes.capacity / cost);
  }
  double uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(rng_);
  }
  AgreementCounts counted(double lost) {
    const auto objects = static_cast<int>(uniform(0, 2 * kObjects + 1));
    std::binomial_distribution<int> right(objects, std::clamp(1 - lost, 0.0, 1.0));
    return {
        .found = right(rng_), .wanted = objects, .sure_right = right(rng_), .sure_given = objects};
  }

  void run_window() {
    now_ += 500ms;
    std::vector<CameraDemand> demand(kCameras);
    const double wanted = std::min(controller.share_wanted(), scenes.share_max);
    for (CameraDemand& each : demand)
      each.inferences_per_second = kRate * wanted * uniform(.8, 1.2);
    std::vector<std::vector<Duration>> cost(1);
    for (const double seconds : kCost)
      cost[0].push_back(from_seconds(seconds * uniform(.97, 1.03)));
    std::vector<RungChange> made;
    ladder.decide(now_, demand, cost, scenes.capacity, made);
    for (const RungChange& change : made) ++changes[change.camera];
  }

  void run_second() {
    run_window();
    run_window();
    const double managed = share_managed();
    const double share = this->share();
    shares.push_back(share);
    for (int i = 0; i < static_cast<int>(kCameras * kRate); ++i) {
      const auto camera = static_cast<CameraIndex>(i % static_cast<int>(kCameras));
      const std::size_t rung = ladder.rung_of(camera);
      const double of_rung = 1 - scenes.quality[rung];
      const bool is_inferred = uniform(0, 1) < share;
      if (is_inferred) {
        // Boxes of the rung, carried, against the same rung's.
        controller.learn(counted(2 * scenes.speed / share), 1 / share);
        if (rung == 0) {
          controller.count_exact(static_cast<std::int64_t>(kObjects));
          continue;
        }
      }
      controller.count_inexact(is_inferred);
      const double drawn = std::min(.2, .05 / .95 * share / std::max(.2, 1 - share));
      if (uniform(0, 1) >= drawn) continue;
      const double age = is_inferred ? 0 : uniform(1, std::max(1.0, 1 / share - 1));
      const AgreementCounts counts = counted(of_rung + 2 * scenes.speed * age);
      controller.add_audit(counts, 1, is_inferred);
      if (is_inferred) ladder.learn(camera, rung, counts);
    }
    controller.update(managed < controller.share() ? std::optional(managed) : std::nullopt);
  }

  std::mt19937 rng_;
  TimePoint now_;
};

/// The best that the device can do with all cameras on one rung.
double best_fidelity(const Scenes& scenes) {
  double best = 0;
  for (std::size_t rung = 0; rung < kCost.size(); ++rung) {
    const double share =
        std::min(scenes.share_max, scenes.capacity / (kCameras * kRate * kCost[rung]));
    best = std::max(best, scenes.quality[rung] - scenes.speed * (1 / std::min(1.0, share) - 1));
  }
  return best;
}

/// How full the device would be with the target held by the best rung.
double occupancy_at_top(const Scenes& scenes) {
  const double share = scenes.speed / (scenes.speed + 1 - scenes.target);
  return share * kCameras * kRate * kCost[0] / scenes.capacity;
}

std::vector<Scenes> all_scenes() {
  std::vector<Scenes> all;
  for (const double target : {.9, .95, .98})
    for (const double speed : {.002, .0065, .02})
      for (const double second : {.99, .95})
        for (const double capacity : {.1, .3, .6, 1.0, 2.0})
          all.push_back({.target = target,
                         .speed = speed,
                         .quality = {1, second, second - .05},
                         .capacity = capacity});
  return all;
}

std::string name_of(const Scenes& scenes) {
  return fmt::format("target {} speed {} quality {} capacity {}: full by {:.2f}, best {:.3f}",
                     scenes.target, scenes.speed, scenes.quality[1], scenes.capacity,
                     occupancy_at_top(scenes), best_fidelity(scenes));
}

TEST(LadderAndFidelity, WhatCanBeHeldIsHeldAndWhatCannotIsSaid) {
  std::uint32_t seed = 1;
  for (const Scenes& scenes : all_scenes()) {
    World world(scenes, ++seed);
    world.run(1200);
    const double lost = 1 - scenes.target;
    if (occupancy_at_top(scenes) < .75) {
      EXPECT_EQ(world.cheapest(), 0U) << name_of(scenes);
      EXPECT_NEAR(world.true_fidelity(), scenes.target, .3 * lost) << name_of(scenes);
    }
    if (best_fidelity(scenes) < scenes.target - .2 * lost - .01) {
      EXPECT_EQ(world.controller.state(), State::kNoCapacity)
          << name_of(scenes) << ": " << world.controller.explanation();
    } else if (occupancy_at_top(scenes) < .75) {
      EXPECT_EQ(world.controller.state(), State::kHolding) << name_of(scenes);
    }
  }
}

TEST(LadderAndFidelity, TheyComeToRest) {
  std::uint32_t seed = 100;
  for (const Scenes& scenes : all_scenes()) {
    World world(scenes, ++seed);
    world.run(900);
    world.changes.fill(0);
    world.shares.clear();
    world.run(600);
    EXPECT_LE(*std::ranges::max_element(world.changes), 2) << name_of(scenes);
    const auto [least, most] = std::ranges::minmax(world.shares);
    EXPECT_LE(most, 2 * least) << name_of(scenes);
  }
}

// Cheaper rungs lower the fidelity; if that were taken for faster scenes, more inference would be
// wanted, and no rung would ever become better again.
TEST(LadderAndFidelity, AfterARushBothAreBackWhereTheyWere) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    Scenes scenes{.target = .95, .quality = {1, .93, .85}, .capacity = .6};
    World world(scenes, seed);
    world.run(600);
    ASSERT_EQ(world.cheapest(), 0U);
    const double before = world.controller.share_wanted();
    world.scenes.capacity = .2;  // the device is slow, or has others to serve
    world.run(600);
    EXPECT_GT(world.cheapest(), 0U) << seed;
    EXPECT_NEAR(world.controller.share_wanted(), before, .4 * before)
        << seed << ": the scenes are as fast as before";
    EXPECT_EQ(world.controller.state(), State::kNoCapacity) << world.controller.explanation();
    world.scenes.capacity = .6;
    world.run(20);
    EXPECT_EQ(world.cheapest(), 0U) << seed;
    world.run(300);
    EXPECT_NEAR(world.controller.share(), before, .4 * before) << seed;
    EXPECT_NEAR(world.true_fidelity(), .95, .3 * .05) << seed;
    EXPECT_EQ(world.controller.state(), State::kHolding) << world.controller.explanation();
  }
}

TEST(LadderAndFidelity, RungsThatLoseTooMuchAreSaidThoughTheShareIsManaged) {
  // As where critical cameras fill the device: the others' share is small, and still made by a
  // cheaper rung.
  FidelityController controller({.target = .98});
  const AgreementCounts same{.found = 10, .wanted = 10, .sure_right = 10, .sure_given = 10};
  const AgreementCounts worse{.found = 9, .wanted = 10, .sure_right = 9, .sure_given = 10};
  for (int second = 0; second < 300; ++second) {
    for (int i = 0; i < 20; ++i) {
      controller.learn(same, 5);
      controller.count_inexact(true);
      for (int carried = 0; carried < 4; ++carried) controller.count_inexact();
    }
    controller.add_audit(worse, 1, true);
    controller.add_audit(worse);
    controller.update();
  }
  EXPECT_LT(controller.share(), .5) << "no amount of inference would help";
  EXPECT_NEAR(controller.rung_loss(), .1, .02);
  EXPECT_EQ(controller.state(), State::kNoCapacity);
  EXPECT_NE(controller.explanation().find("by the best rung"), std::string::npos)
      << controller.explanation();
}

TEST(LadderAndFidelity, MoreInferenceMakesUpForCheaperRungsWhereItCan) {
  // 1.15 of the device at the best rung: some cameras go one down, and lose .01 each.
  Scenes scenes{.target = .95, .speed = .0065, .quality = {1, .99, .98}};
  scenes.capacity = occupancy_at_top(scenes) / 1.15;
  World world(scenes, 3);
  world.run(1200);
  EXPECT_GT(world.cheapest(), 0U);
  EXPECT_GT(world.controller.rung_loss(), .002);
  EXPECT_GT(world.controller.share(), world.controller.share_wanted());
  EXPECT_NEAR(world.true_fidelity(), .95, .015);
}

}  // namespace
}  // namespace framemill
