#include "framemill/sched/ladder_policy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{};
constexpr Duration kWindow = 500ms;

// YOLO11n INT8 on two cores, both busy: 640x384, 512x288, 320x192.
const std::vector<std::vector<Duration>> kCost{{15ms, 10ms, 5ms}};
constexpr double kCapacity = 2;

LadderOptions options_for(std::size_t cameras) {
  return {.ladders = {{.quality = {1, .97, .85}}}, .cameras = std::vector<LadderCamera>(cameras)};
}

/// A policy and the windows it is asked about.
class Ladders {
 public:
  explicit Ladders(LadderOptions options)
      : demand(options.cameras.size(), {.inferences_per_second = 10}), policy(std::move(options)) {}

  std::vector<RungChange> window() {
    now += kWindow;
    std::vector<RungChange> changes{{99, 9, 9}};
    policy.decide(now, demand, cost, capacity, changes);
    return changes;
  }
  std::vector<RungChange> windows(int count) {
    std::vector<RungChange> all;
    for (int i = 0; i < count; ++i)
      for (const RungChange& change : window()) all.push_back(change);
    return all;
  }
  void demand_all(double inferences_per_second) {
    for (CameraDemand& each : demand) each.inferences_per_second = inferences_per_second;
  }

  std::vector<CameraDemand> demand;
  std::vector<std::vector<Duration>> cost = kCost;
  double capacity = kCapacity;
  TimePoint now = kStart;
  LadderPolicy policy;
};

TEST(LadderPolicy, WithCapacityToSpareAllStayAtTheTop) {
  Ladders ladders(options_for(3));
  EXPECT_TRUE(ladders.windows(100).empty());
  EXPECT_NEAR(ladders.policy.occupancy(), 3 * 10 * .015 / 2, 1e-12);
}

TEST(LadderPolicy, TwoOverloadedWindowsThenCheaper) {
  Ladders ladders(options_for(16));  // 1.2 at the top
  EXPECT_TRUE(ladders.window().empty());
  const std::vector<RungChange> changes = ladders.window();
  // Each camera that goes to rung 1 saves .025; .9 needs twelve of them.
  EXPECT_EQ(changes.size(), 12U);
  for (const RungChange& change : changes) {
    EXPECT_EQ(change.from, 0U);
    EXPECT_EQ(change.to, 1U);
    EXPECT_EQ(ladders.policy.rung_of(change.camera), 1U);
  }
  EXPECT_LE(ladders.policy.occupancy(), .9 + 1e-9);
  EXPECT_FALSE(ladders.policy.is_exhausted());
  EXPECT_TRUE(ladders.windows(100).empty());
}

TEST(LadderPolicy, OneOverloadedWindowIsNothing) {
  Ladders ladders(options_for(16));
  for (int i = 0; i < 20; ++i) {
    ladders.demand_all(i % 2 == 0 ? 10 : 7.5);
    EXPECT_TRUE(ladders.window().empty()) << i;
  }
}

TEST(LadderPolicy, JumpsOverRungsInOneChange) {
  Ladders ladders(options_for(50));  // 3.75, 2.5 and 1.25 at the rungs
  const std::vector<RungChange> changes = ladders.windows(2);
  EXPECT_EQ(changes.size(), 50U);
  for (const RungChange& change : changes) EXPECT_EQ(change.to, 2U);
  EXPECT_TRUE(ladders.policy.is_exhausted());
  EXPECT_TRUE(ladders.windows(100).empty());
  ladders.demand_all(1);
  ladders.window();
  EXPECT_FALSE(ladders.policy.is_exhausted());
}

TEST(LadderPolicy, TenSpareWindowsThenBetter) {
  Ladders ladders(options_for(16));
  ladders.windows(2);
  ladders.demand_all(5);
  EXPECT_TRUE(ladders.windows(9).empty());
  EXPECT_EQ(ladders.window().size(), 12U);
  for (CameraIndex i = 0; i < 16; ++i) EXPECT_EQ(ladders.policy.rung_of(i), 0U);
}

TEST(LadderPolicy, TheWindowsCountWithoutADwell) {
  LadderOptions options = options_for(16);
  options.dwell = 0s;
  Ladders ladders(options);
  ladders.windows(2);
  ladders.demand_all(5);
  EXPECT_TRUE(ladders.windows(9).empty());
  EXPECT_EQ(ladders.window().size(), 12U);
}

TEST(LadderPolicy, TheFullestOfTheSpareWindowsCounts) {
  Ladders ladders(options_for(16));
  ladders.windows(2);
  ladders.demand_all(7.9);  // .71, and .95 at the top
  EXPECT_TRUE(ladders.windows(9).empty());
  ladders.demand_all(3);  // a moment's calm
  const std::vector<RungChange> changes = ladders.window();
  EXPECT_FALSE(changes.empty());
  ladders.demand_all(7.9);
  EXPECT_TRUE(ladders.window().empty());
  EXPECT_LT(ladders.policy.occupancy(), .85);
}

TEST(LadderPolicy, AFullWindowBeginsTheCountAnew) {
  Ladders ladders(options_for(16));
  ladders.windows(2);
  for (int i = 0; i < 30; ++i) {
    ladders.demand_all(i % 9 == 8 ? 9.5 : 5);
    EXPECT_TRUE(ladders.window().empty()) << i;
  }
}

TEST(LadderPolicy, DwellsOnlyOnTheWayUp) {
  LadderOptions options = options_for(16);
  options.dwell = 20s;
  Ladders ladders(options);
  ladders.windows(2);
  ladders.demand_all(5);
  EXPECT_TRUE(ladders.windows(39).empty());
  EXPECT_EQ(ladders.window().size(), 12U);
  ladders.demand_all(20);
  EXPECT_EQ(ladders.windows(2).size(), 16U);  // down again after a second
}

TEST(LadderPolicy, BetterRungsFillNoMoreThanTheirBound) {
  Ladders ladders(options_for(50));
  ladders.windows(2);
  ladders.demand_all(4);  // .5 at the cheapest, 1 at the middle one
  const std::vector<RungChange> changes = ladders.windows(10);
  EXPECT_FALSE(changes.empty());
  EXPECT_LT(ladders.policy.occupancy(), .85);
  EXPECT_GE(ladders.policy.occupancy(), .85 - 2 * 4 * .010 / 2);
  // One rung gains .12 for 5 ms, two gain .15 for 10 ms: many cameras go up by one.
  for (const RungChange& change : changes) EXPECT_EQ(change.to, 1U);
  EXPECT_TRUE(ladders.windows(200).empty());
}

TEST(LadderPolicy, CriticalCamerasGoLastAndComeFirst) {
  LadderOptions options = options_for(16);
  options.cameras[3].priority = Priority::kCritical;
  options.cameras[5].priority = Priority::kBackground;
  Ladders ladders(options);
  std::vector<RungChange> changes = ladders.windows(2);
  EXPECT_TRUE(std::ranges::count(changes, 5U, &RungChange::camera) == 1);
  EXPECT_EQ(ladders.policy.rung_of(3), 0U);
  ladders.demand_all(30);
  ladders.windows(2);
  EXPECT_EQ(ladders.policy.rung_of(3), 2U);
  ladders.demand_all(10);  // room for some
  ladders.windows(10);
  EXPECT_EQ(ladders.policy.rung_of(3), 0U);
  EXPECT_EQ(ladders.policy.rung_of(5), 2U);
}

TEST(LadderPolicy, SimpleScenesGoFirstComplexOnesLast) {
  Ladders ladders(options_for(16));
  for (std::size_t i = 0; i < 16; ++i)
    ladders.demand[i].scene = i < 4    ? SceneKind::kComplex
                              : i < 10 ? SceneKind::kUsual
                                       : SceneKind::kSimple;
  ladders.windows(2);
  // The third rung loses .15 for 10 ms, the second .03 for 5 ms: all simple ones, then the usual.
  for (CameraIndex i = 0; i < 16; ++i) EXPECT_EQ(ladders.policy.rung_of(i), i < 4 ? 0U : 1U) << i;
}

TEST(LadderPolicy, LeastFidelityLostPerCostSaved) {
  // Model 0 loses .1 for 5 ms, model 1 .1 for 10 ms: cameras of model 1 go first.
  LadderOptions options{.ladders = {{.quality = {1, .9}}, {.quality = {1, .9}}},
                        .cameras = {{.ladder = 0}, {.ladder = 0}, {.ladder = 1}, {.ladder = 1}}};
  Ladders ladders(options);
  ladders.cost = {{15ms, 10ms}, {20ms, 10ms}};
  ladders.capacity = .6;  // .7 wanted
  const std::vector<RungChange> changes = ladders.windows(2);
  EXPECT_EQ(changes, (std::vector<RungChange>{{2, 0, 1}, {3, 0, 1}}));
}

TEST(LadderPolicy, AStepThatLosesLessPerCostIsTakenOverTheNextOne) {
  // Camera 0 loses .1 for 5 ms, or .12 for 10 ms; camera 1 .075 for 5 ms: in between.
  LadderOptions options{.ladders = {{.quality = {1, .9, .88}}, {.quality = {1, .925}}},
                        .cameras = {{.ladder = 0}, {.ladder = 1}}};
  Ladders ladders(options);
  ladders.cost = {{15ms, 10ms, 5ms}, {15ms, 10ms}};
  ladders.capacity = .25;  // .3 wanted
  EXPECT_EQ(ladders.windows(2), (std::vector<RungChange>{{0, 0, 2}}));
}

TEST(LadderPolicy, RungsBelowTheLeastQualityOrWithoutCostAreNotUsed) {
  LadderOptions options = options_for(50);
  options.quality_min = .9;
  Ladders ladders(options);
  ladders.windows(2);
  for (CameraIndex i = 0; i < 50; ++i) EXPECT_EQ(ladders.policy.rung_of(i), 1U);
  EXPECT_TRUE(ladders.policy.is_exhausted());
  Ladders unmeasured(options_for(50));
  unmeasured.cost = {{15ms, 0ms, 5ms}};
  unmeasured.windows(2);
  for (CameraIndex i = 0; i < 50; ++i) EXPECT_EQ(unmeasured.policy.rung_of(i), 2U);
}

TEST(LadderPolicy, LearnsQualityFromAudits) {
  Ladders ladders(options_for(2));
  EXPECT_NEAR(ladders.policy.quality(0, 1), .97, 1e-12);
  EXPECT_EQ(ladders.policy.quality(0, 0), 1);
  const AgreementCounts bad{.found = 40, .wanted = 100, .sure_right = 80, .sure_given = 100};
  for (int i = 0; i < 50; ++i) ladders.policy.learn(0, 1, bad);
  EXPECT_NEAR(ladders.policy.quality(0, 1), 2 * .4 * .8 / 1.2, .02);
  // The other camera has seen none of it itself, but it is the best guess for it as well.
  EXPECT_NEAR(ladders.policy.quality(1, 1), 2 * .4 * .8 / 1.2, .02);
  EXPECT_LE(ladders.policy.quality(1, 2), ladders.policy.quality(1, 1));  // no worse rung is better
  const AgreementCounts good{.found = 100, .wanted = 100, .sure_right = 100, .sure_given = 100};
  for (int i = 0; i < 10; ++i) ladders.policy.learn(1, 1, good);
  EXPECT_GT(ladders.policy.quality(1, 1), ladders.policy.quality(0, 1) + .2);
}

TEST(LadderPolicy, NoCamerasNoDemand) {
  Ladders none(LadderOptions{});
  none.cost.clear();
  EXPECT_TRUE(none.windows(30).empty());
  Ladders silent(options_for(4));
  silent.demand_all(0);
  EXPECT_TRUE(silent.windows(30).empty());
  EXPECT_EQ(silent.policy.occupancy(), 0);
}

// 10 -> 50 -> 10 cameras with noise on the demand and on the learned costs: at most two changes of
// a camera a step, and none once all is settled.
TEST(LadderPolicy, LoadStepsChangeACameraTwiceAtMost) {
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    for (const double wanted : {2.5, 5.0, 7.0, 10.0}) {
      std::mt19937 rng(seed);
      const auto noise = [&rng](double spread) {
        return 1 + std::uniform_real_distribution<double>(-spread, spread)(rng);
      };
      Ladders ladders(options_for(50));
      for (const auto& [active, windows] : {std::pair{10, 60}, {50, 120}, {10, 120}}) {
        std::vector<int> changes(50, 0);
        for (int w = 0; w < windows; ++w) {
          for (int i = 0; i < 50; ++i)
            ladders.demand[static_cast<std::size_t>(i)].inferences_per_second =
                i < active ? wanted * noise(.2) : 0;
          for (std::size_t r = 0; r < 3; ++r)
            ladders.cost[0][r] = from_seconds(to_seconds(kCost[0][r]) * noise(.05));
          for (const RungChange& change : ladders.window()) ++changes[change.camera];
        }
        EXPECT_LE(*std::ranges::max_element(changes), 2)
            << "seed " << seed << " wanted " << wanted << " cameras " << active;
      }
      for (CameraIndex i = 0; i < 10; ++i) EXPECT_EQ(ladders.policy.rung_of(i), 0U) << wanted;
    }
  }
}

/// 16 cameras of which twelve had to go to rung 1, all of them usual; rested.
Ladders settled(int windows = 80) {
  Ladders ladders(options_for(16));
  ladders.windows(2);
  EXPECT_TRUE(ladders.windows(windows).empty()) << "nothing has changed";
  return ladders;
}

std::vector<CameraIndex> on_rung(const Ladders& ladders, std::size_t rung) {
  std::vector<CameraIndex> cameras;
  for (CameraIndex i = 0; i < ladders.demand.size(); ++i)
    if (ladders.policy.rung_of(i) == rung) cameras.push_back(i);
  return cameras;
}

TEST(LadderPolicy, ScenesThatChangeExchangeRungsAtASteadyLoad) {
  Ladders ladders = settled();
  const CameraIndex low = on_rung(ladders, 1).front();
  const CameraIndex high = on_rung(ladders, 0).front();
  const double load = ladders.policy.occupancy();
  ladders.demand[low].scene = SceneKind::kComplex;  // its loss counts twice, that of others once
  EXPECT_TRUE(ladders.windows(20).empty()) << "it has to last";
  const std::vector<RungChange> changes = ladders.windows(5);  // about 12 s
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(std::ranges::count(changes, RungChange{low, 1, 0}), 1);
  EXPECT_EQ(std::ranges::count(changes, RungChange{high, 0, 1}), 1);
  EXPECT_NEAR(ladders.policy.occupancy(), load, 1e-9);
  EXPECT_TRUE(ladders.windows(300).empty()) << "once";
  ladders.demand[low].scene = SceneKind::kUsual;
  EXPECT_TRUE(ladders.windows(300).empty()) << "all the same now: nothing to gain";
  ladders.demand[low].scene = SceneKind::kSimple;  // half
  EXPECT_TRUE(ladders.windows(20).empty());
  EXPECT_EQ(ladders.windows(5).size(), 2U);
  EXPECT_EQ(ladders.policy.rung_of(low), 1U);
}

TEST(LadderPolicy, ExchangedRungsRestForHalfAMinute) {
  Ladders ladders(options_for(16));
  ladders.windows(2);
  const CameraIndex low = on_rung(ladders, 1).front();
  ladders.demand[low].scene = SceneKind::kComplex;
  EXPECT_TRUE(ladders.windows(59).empty()) << "it changed at the second window";
  EXPECT_EQ(ladders.window().size(), 2U);
}

TEST(LadderPolicy, WhatAuditsSayOfCamerasAlikeExchangesNothing) {
  // They are few for a camera: what one learns of its rung is mostly chance.
  Ladders ladders = settled();
  const AgreementCounts all{.found = 300, .wanted = 300, .sure_right = 300, .sure_given = 300};
  const AgreementCounts bad{.found = 40, .wanted = 50, .sure_right = 40, .sure_given = 50};
  const std::vector<CameraIndex> low = on_rung(ladders, 1);
  for (const CameraIndex camera : low)
    ladders.policy.learn(camera, 1, camera == low.front() ? bad : all);
  EXPECT_TRUE(ladders.windows(300).empty());
}

TEST(LadderPolicy, WhoGainsTheMostButHasNoRoomKeepsNobodyFromExchanging) {
  Ladders ladders = settled();
  const std::vector<CameraIndex> low = on_rung(ladders, 1);
  // The first gains the most, but of a usual scene among usual ones nobody makes room for it.
  const AgreementCounts bad{.found = 160, .wanted = 200, .sure_right = 160, .sure_given = 200};
  const AgreementCounts good{.found = 300, .wanted = 300, .sure_right = 300, .sure_given = 300};
  ladders.policy.learn(low[0], 1, bad);
  for (std::size_t i = 2; i < low.size(); ++i) ladders.policy.learn(low[i], 1, good);
  ladders.demand[low[1]].scene = SceneKind::kComplex;
  const std::vector<RungChange> changes = ladders.windows(40);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(std::ranges::count(changes, RungChange{low[1], 1, 0}), 1);
  EXPECT_NE(ladders.policy.rung_of(low[0]), 0U);
}

TEST(LadderPolicy, AWaveringSceneExchangesNothing) {
  Ladders ladders = settled();
  std::mt19937 rng(77);
  for (int i = 0; i < 400; ++i) {  // each kind for some seconds, and by turns
    for (std::size_t camera = 0; camera < 16; ++camera)
      ladders.demand[camera].scene =
          static_cast<SceneKind>((static_cast<std::size_t>(i / 5) + camera) % 3);
    EXPECT_TRUE(ladders.window().empty()) << i;
  }
  for (int i = 0; i < 2000; ++i) {  // at random, as a still picture's
    for (CameraDemand& demand : ladders.demand) demand.scene = static_cast<SceneKind>(rng() % 3);
    EXPECT_TRUE(ladders.window().empty()) << i;
  }
}

TEST(LadderPolicy, LoadHasTheLastWordAboutScenes) {
  for (const SceneKind kind : {SceneKind::kSimple, SceneKind::kComplex}) {
    Ladders spare(options_for(3));
    for (CameraDemand& demand : spare.demand) demand.scene = kind;
    EXPECT_TRUE(spare.windows(200).empty()) << "capacity to spare: all stay at the top";
    Ladders full(options_for(50));
    for (CameraDemand& demand : full.demand) demand.scene = kind;
    EXPECT_EQ(full.windows(2).size(), 50U) << "overload: all go down";
  }
  // An exchange never asks for more than there was, whatever scenes and demands are.
  std::mt19937 rng(79);
  std::int64_t exchanges = 0;
  for (int round = 0; round < 100; ++round) {
    Ladders ladders(options_for(30));
    for (CameraDemand& demand : ladders.demand)
      demand.inferences_per_second = 3 + static_cast<double>(rng() % 60) / 10;
    ladders.windows(2);
    ladders.windows(100);  // those that the choice of the first moment left
    for (CameraDemand& demand : ladders.demand) demand.scene = static_cast<SceneKind>(rng() % 3);
    for (int window = 0; window < 200; ++window) {
      const double before = ladders.policy.occupancy();
      const std::vector<RungChange> changes = ladders.window();
      exchanges += changes.empty() ? 0 : 1;
      EXPECT_LE(ladders.policy.occupancy(), std::max(before, .85) + 1e-9) << round;
    }
    ladders.demand_all(20);  // and when more comes, scenes no longer matter
    ladders.windows(2);
    EXPECT_TRUE(ladders.policy.is_exhausted());
    EXPECT_EQ(on_rung(ladders, 2).size(), 30U);
  }
  EXPECT_GT(exchanges, 50);
}

// Beside all ways of moving the cameras down, in full for small worlds: what the greedy choice
// loses is at most what the best choice loses, plus one move too many.
TEST(LadderPolicy, ReliefLosesHardlyMoreThanTheBestChoice) {
  std::mt19937 rng(83);
  int relieved = 0;
  for (int round = 0; round < 200; ++round) {
    constexpr std::size_t kCameras = 5;
    LadderOptions options = options_for(kCameras);
    Ladders ladders(options);
    ladders.capacity = .35;
    for (CameraDemand& demand : ladders.demand)
      demand = {.inferences_per_second = 4 + static_cast<double>(rng() % 80) / 10,
                .scene = static_cast<SceneKind>(rng() % 3)};
    const auto weight = [&](std::size_t camera) {
      const SceneKind scene = ladders.demand[camera].scene;
      return scene == SceneKind::kSimple ? .5 : scene == SceneKind::kComplex ? 2.0 : 1.0;
    };
    const auto loss_of = [&](std::size_t camera, std::size_t rung) {
      constexpr double kQuality[] = {1, .97, .85};
      return weight(camera) * ladders.demand[camera].inferences_per_second * (1 - kQuality[rung]);
    };
    const auto load_of = [&](std::size_t camera, std::size_t rung) {
      return ladders.demand[camera].inferences_per_second * to_seconds(kCost[0][rung]);
    };
    double at_top = 0;
    for (std::size_t i = 0; i < kCameras; ++i) at_top += load_of(i, 0);
    if (at_top <= ladders.capacity) continue;
    double best = std::numeric_limits<double>::infinity();
    for (int choice = 0; choice < 243; ++choice) {
      double loss = 0, load = 0;
      for (std::size_t i = 0, left = static_cast<std::size_t>(choice); i < kCameras;
           ++i, left /= 3) {
        loss += loss_of(i, left % 3);
        load += load_of(i, left % 3);
      }
      if (load <= .9 * ladders.capacity) best = std::min(best, loss);
    }
    ladders.windows(2);
    if (ladders.policy.is_exhausted()) {
      EXPECT_TRUE(std::isinf(best)) << round << ": there was a way";
      continue;
    }
    ++relieved;
    double loss = 0, most = 0;
    for (std::size_t i = 0; i < kCameras; ++i) {
      const std::size_t rung = ladders.policy.rung_of(static_cast<CameraIndex>(i));
      loss += loss_of(i, rung);
      if (rung > 0) most = std::max(most, loss_of(i, rung) - loss_of(i, rung - 1));
    }
    EXPECT_LE(loss, best + most + 1e-9) << round;
  }
  EXPECT_GT(relieved, 100);
}

TEST(LadderPolicy, RelievesWithinASecondWhateverTheLoad) {  // property
  std::mt19937 rng(71);
  for (int round = 0; round < 300; ++round) {
    const std::size_t cameras = 1 + rng() % 60;
    LadderOptions options = options_for(cameras);
    for (LadderCamera& camera : options.cameras) camera.priority = static_cast<Priority>(rng() % 3);
    Ladders ladders(options);
    for (CameraDemand& demand : ladders.demand)
      demand = {.inferences_per_second = static_cast<double>(rng() % 200) / 10,
                .scene = static_cast<SceneKind>(rng() % 3)};
    ladders.windows(2);
    EXPECT_TRUE(ladders.policy.occupancy() <= 1.0 || ladders.policy.is_exhausted()) << round;
    if (ladders.policy.is_exhausted()) {
      for (CameraIndex i = 0; i < cameras; ++i) {
        const bool is_silent = ladders.demand[i].inferences_per_second == 0;
        EXPECT_EQ(ladders.policy.rung_of(i), is_silent ? 0U : 2U) << round << ": there was a way";
      }
    }
    // Two runs decide the same.
    Ladders again(options);
    again.demand = ladders.demand;
    again.windows(2);
    for (CameraIndex i = 0; i < cameras; ++i)
      EXPECT_EQ(again.policy.rung_of(i), ladders.policy.rung_of(i));
  }
}

TEST(SceneHistory, IsRelativeToWhatTheCameraIsUsedTo) {
  for (const double usual : {.02, .1, .3}) {
    std::mt19937 rng(73);
    SceneHistory history;
    const auto reading = [&](double factor) {
      return usual * factor * (1 + std::uniform_real_distribution<double>(-.1, .1)(rng));
    };
    for (int i = 0; i < 20; ++i) EXPECT_EQ(history.update(reading(1)), SceneKind::kUsual);
    for (int i = 0; i < 300; ++i) history.update(reading(1));
    EXPECT_EQ(history.update(usual * .7), SceneKind::kSimple) << usual;
    EXPECT_EQ(history.update(usual * .96), SceneKind::kSimple) << usual;  // not back yet
    EXPECT_EQ(history.update(usual), SceneKind::kUsual) << usual;
    EXPECT_EQ(history.update(usual * 1.3), SceneKind::kComplex) << usual;
  }
}

TEST(SceneHistory, ANewLookBecomesUsual) {
  SceneHistory history;
  for (int i = 0; i < 300; ++i) history.update(i % 2 == 0 ? .10 : .11);
  for (int i = 0; i < 2000; ++i) history.update(i % 2 == 0 ? .20 : .21);
  EXPECT_EQ(history.update(.205), SceneKind::kUsual);
}

TEST(SceneHistory, BadReadingsDoNoHarm) {
  SceneHistory history;
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(history.update(std::numeric_limits<double>::quiet_NaN()), SceneKind::kUsual);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(history.update(.1), SceneKind::kUsual);  // no deviation
}

}  // namespace
}  // namespace framemill
