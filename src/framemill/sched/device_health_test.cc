#include "framemill/sched/device_health.h"

#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

constexpr DeviceHealthPolicy kPolicy{.errors_max = 2,
                                     .hang_factor = 8,
                                     .hang_least = 500ms,
                                     .hang_unknown = 60s,
                                     .probe_first = 250ms,
                                     .probe_most = 2s,
                                     .steady = 10s};
TimePoint at(Duration time) { return TimePoint{} + time; }

TEST(DeviceHealth, IsTakenOutAfterErrorsInARow) {
  DeviceHealth health(kPolicy, 8);
  for (std::uint64_t id = 0; id < 6; ++id) {  // every second one fails: that is not a row
    health.started(id, 0, 1, at(id * 10ms), 10ms);
    const auto change = health.finished(
        id, at(id * 10ms + 5ms), id % 2 ? std::optional(ErrorCode::kInternal) : std::nullopt);
    EXPECT_FALSE(change.is_taken_out);
  }
  health.started(6, 0, 1, at(100ms), 10ms);
  health.started(7, 0, 4, at(100ms), 10ms);
  const auto change = health.finished(6, at(110ms), ErrorCode::kInternal);  // after id 5
  EXPECT_TRUE(change.is_taken_out);
  EXPECT_THAT(change.lost, ElementsAre(7));
  EXPECT_EQ(health.reason(), OutReason::kErrors);
  EXPECT_FALSE(health.may_serve());
  EXPECT_EQ(health.wake_at(), at(360ms));
}

TEST(DeviceHealth, ADeviceThatSaysItIsGoneNeedsOneErrorAndACancelledBatchNone) {
  DeviceHealth health(kPolicy, 8);
  for (std::uint64_t id = 0; id < 9; ++id) {
    health.started(id, 0, 1, at(0ms), 10ms);
    const ErrorCode error = id % 2 == 0 ? ErrorCode::kCancelled : ErrorCode::kInvalidArgument;
    EXPECT_FALSE(health.finished(id, at(1ms), error).is_taken_out);
  }
  health.started(9, 0, 1, at(2ms), 10ms);
  EXPECT_TRUE(health.finished(9, at(3ms), ErrorCode::kUnavailable).is_taken_out);
  EXPECT_EQ(health.reason(), OutReason::kGone);
}

TEST(DeviceHealth, ABatchHangsAtAMultipleOfWhatWasExpected) {
  const struct { Duration expected, hangs; } cases[] = {{10ms, 500ms}, {100ms, 800ms}, {0ms, 60s}};
  for (const auto& [expected, hangs] : cases) {
    DeviceHealth health(kPolicy, 8);
    health.started(1, 0, 2, at(1s), expected);
    health.started(2, 0, 2, at(1s), 100s);
    EXPECT_EQ(health.wake_at(), at(1s + hangs));
    EXPECT_FALSE(health.tick(at(1s + hangs - 1ns)).is_taken_out);
    const auto change = health.tick(at(1s + hangs));
    EXPECT_TRUE(change.is_taken_out);
    EXPECT_THAT(change.lost, ElementsAre(1, 2));
    EXPECT_EQ(health.reason(), OutReason::kHung);
    EXPECT_FALSE(health.finished(1, at(5s), ErrorCode::kInternal).is_taken_out);  // late news
  }
}

TEST(DeviceHealth, AnAnswerOfAGivenUpBatchBringsTheProbeForward) {
  DeviceHealth health(kPolicy, 8);
  health.started(1, 0, 1, at(0ms), 10ms);
  EXPECT_TRUE(health.tick(at(500ms)).is_taken_out);
  EXPECT_FALSE(health.begin_probe(at(510ms)));
  static_cast<void>(health.finished(1, at(520ms), std::nullopt));
  EXPECT_TRUE(health.begin_probe(at(520ms)));
}

TEST(DeviceHealth, IsProbedAtGrowingIntervalsAndTakenBack) {
  DeviceHealth health(kPolicy, 8);
  health.started(1, 0, 1, at(0ms), 10ms);
  static_cast<void>(health.finished(1, at(0ms), ErrorCode::kUnavailable));
  TimePoint now = at(0ms);
  std::vector<Duration> waits;
  for (int probe = 0; probe < 6; ++probe) {
    const TimePoint due = health.wake_at().value();
    waits.push_back(due - now);
    EXPECT_FALSE(health.begin_probe(due - 1ns));
    ASSERT_TRUE(health.begin_probe(due));
    EXPECT_FALSE(health.begin_probe(due)) << "one at a time";
    now = due + 10ms;
    EXPECT_FALSE(health.probed(0, now, ErrorCode::kUnavailable).is_taken_back);
  }
  EXPECT_THAT(waits, ElementsAre(250ms, 500ms, 1s, 2s, 2s, 2s));
  now = health.wake_at().value();  // it is back now: taken back within 2 s at most
  ASSERT_TRUE(health.begin_probe(now));
  EXPECT_TRUE(health.probed(0, now + 5ms, std::nullopt).is_taken_back);
  EXPECT_TRUE(health.may_serve());
  EXPECT_EQ(health.wake_at(), std::nullopt);
}

TEST(DeviceHealth, OneThatFailsAgainSoonIsProbedLessOften) {
  DeviceHealth health(kPolicy, 8);
  TimePoint now = at(0ms);
  const auto outage =
      [&](std::uint64_t id) {  // how long it is out, with a probe that comes through
        health.started(id, 0, 1, now, 10ms);
        static_cast<void>(health.finished(id, now, ErrorCode::kUnavailable));
        const Duration wait = health.wake_at().value() - now;
        now += wait;
        EXPECT_TRUE(health.begin_probe(now));
        EXPECT_TRUE(health.probed(0, now, std::nullopt).is_taken_back);
        return wait;
      };
  const Duration waits[] = {250ms, 500ms, 1s, 2s, 2s};
  for (std::uint64_t id = 0; id < 5; ++id) {
    EXPECT_EQ(outage(id), waits[id]);
    now += 100ms;
  }
  now += 10s;
  EXPECT_EQ(outage(9), 250ms) << "it has served well in between";
}

TEST(DeviceHealth, AProbeThatHangsIsGivenUpAndItsLateAnswerIgnored) {
  DeviceHealth health(kPolicy, 8);
  health.started(1, 0, 1, at(0ms), 10ms);
  static_cast<void>(health.finished(1, at(0ms), ErrorCode::kUnavailable));
  ASSERT_TRUE(health.begin_probe(at(250ms)));
  EXPECT_EQ(health.wake_at(), at(750ms));
  static_cast<void>(health.tick(at(750ms)));
  EXPECT_EQ(health.state(), HealthState::kOut);
  EXPECT_FALSE(health.probed(0, at(760ms), std::nullopt).is_taken_back);
  EXPECT_FALSE(health.may_serve());
  EXPECT_EQ(health.wake_at(), at(1250ms));
}

TEST(DeviceHealth, OutOfMemoryHalvesTheBatchAndRemembers) {
  DeviceHealth health(kPolicy, 32);
  std::uint64_t id = 0;
  const auto exhaust = [&](std::size_t pictures) {
    health.started(++id, 0, pictures, at(0ms), 10ms);
    return health.finished(id, at(1ms), ErrorCode::kResourceExhausted).is_taken_out;
  };
  const std::pair<std::size_t, std::size_t> steps[] = {{32, 16}, {16, 8}, {7, 2}, {2, 1}};
  for (const auto& [pictures, left] : steps) {
    EXPECT_FALSE(exhaust(pictures));
    EXPECT_EQ(health.batch_max(), left);
  }
  EXPECT_FALSE(exhaust(1));  // a single picture that does not fit is an error
  EXPECT_TRUE(exhaust(1));
  ASSERT_TRUE(health.begin_probe(at(1s)));
  static_cast<void>(health.probed(0, at(1s), std::nullopt));
  EXPECT_EQ(health.batch_max(), 1U) << "remembered over an outage";
}

/// One batch of a lane; whether it went well.
DeviceHealth::Change run(DeviceHealth& health, std::uint64_t id, LaneIndex lane, TimePoint now,
                         std::optional<ErrorCode> error = std::nullopt) {
  health.started(id, lane, 1, now, 10ms);
  return health.finished(id, now, error);
}

TEST(DeviceHealth, ALaneThatFailsIsTakenOutAloneWhileAnotherOneWorks) {
  DeviceHealth health(kPolicy, 8);
  EXPECT_FALSE(run(health, 1, 0, at(0ms)).lane_out);
  EXPECT_FALSE(run(health, 2, 1, at(1ms), ErrorCode::kUnsupported).lane_out);
  EXPECT_FALSE(run(health, 3, 0, at(2ms)).lane_out) << "and it ends no row of another lane";
  health.started(4, 0, 1, at(3ms), 10ms);
  const auto change = run(health, 5, 1, at(3ms), ErrorCode::kUnsupported);
  EXPECT_EQ(change.lane_out, 1U);
  EXPECT_FALSE(change.is_taken_out);
  EXPECT_THAT(change.lost, ElementsAre());
  EXPECT_TRUE(health.may_serve(0));
  EXPECT_FALSE(health.may_serve(1));
  EXPECT_EQ(health.lanes_out(), 1U);
  EXPECT_EQ(health.lane_out_since(1), at(3ms));
  EXPECT_FALSE(health.lane_out_since(0));
  EXPECT_EQ(health.in_flight(), 1U);

  // It is that lane which is probed, and as often as a device would be.
  TimePoint now = at(3ms);
  std::uint64_t id = 5;
  for (const Duration wait : {250ms, 500ms, 1000ms, 2000ms, 2000ms}) {
    const TimePoint due = now + wait;
    EXPECT_FALSE(health.begin_probe(due - 1ns));
    static_cast<void>(run(health, ++id, 0, due - 1ns));
    ASSERT_EQ(health.begin_probe(due), 1U);
    EXPECT_FALSE(health.begin_probe(due)) << "one at a time";
    const auto failed = health.probed(1, due, ErrorCode::kUnsupported);
    EXPECT_FALSE(failed.is_taken_out) << "lane 0 works";
    now = due;
  }
  ASSERT_EQ(health.begin_probe(now + 2s), 1U);
  EXPECT_EQ(health.probed(1, now + 2s, std::nullopt).lane_back, 1U);
  EXPECT_TRUE(health.may_serve(1));
  EXPECT_EQ(health.lanes_out(), 0U);
}

TEST(DeviceHealth, WhereEachLaneFailsTheDeviceIsTakenOut) {
  DeviceHealth health(kPolicy, 8);
  for (LaneIndex lane = 0; lane < 3; ++lane) static_cast<void>(run(health, lane, lane, at(0ms)));
  std::uint64_t id = 10;
  std::vector<bool> outs;
  for (int round = 0; round < 2; ++round)
    for (LaneIndex lane = 0; lane < 3 && health.may_serve(lane); ++lane)
      outs.push_back(run(health, ++id, lane, at(10ms), ErrorCode::kInternal).is_taken_out);
  EXPECT_THAT(outs, ElementsAre(false, false, false, true)) << "none has worked last";
  EXPECT_EQ(health.reason(), OutReason::kErrors);
  EXPECT_EQ(health.lanes_out(), 0U) << "none is out alone";
}

TEST(DeviceHealth, ALaneThatFailsAloneTakesItsDeviceOutWhereNothingElseHasWorkedSince) {
  DeviceHealth health(kPolicy, 8);
  static_cast<void>(run(health, 1, 0, at(0ms)));
  for (const std::uint64_t id : {2, 3})
    static_cast<void>(run(health, id, 1, at(1s), ErrorCode::kInternal));
  EXPECT_TRUE(health.may_serve(0)) << "for all that is known";
  ASSERT_EQ(health.begin_probe(at(1250ms)), 1U);
  EXPECT_FALSE(health.probed(1, at(1250ms), ErrorCode::kInternal).is_taken_out);
  ASSERT_EQ(health.begin_probe(at(1750ms)), 1U);
  EXPECT_TRUE(health.probed(1, at(1750ms), ErrorCode::kInternal).is_taken_out);
  EXPECT_EQ(health.reason(), OutReason::kErrors);
}

TEST(DeviceHealth, AnyLaneThatWorksBringsTheDeviceBackAndTheOthersFollowAlone) {
  DeviceHealth health(kPolicy, 8);
  static_cast<void>(run(health, 1, 0, at(0ms)));
  static_cast<void>(run(health, 2, 2, at(0ms)));
  EXPECT_TRUE(run(health, 3, 2, at(0ms), ErrorCode::kUnavailable).is_taken_out);
  ASSERT_EQ(health.begin_probe(at(250ms)), 2U) << "what failed is tried first";
  static_cast<void>(health.probed(2, at(250ms), ErrorCode::kInternal));
  ASSERT_EQ(health.begin_probe(at(750ms)), 0U) << "then the others that have been used";
  EXPECT_TRUE(health.probed(0, at(760ms), std::nullopt).is_taken_back);
  EXPECT_TRUE(health.may_serve(0));
  EXPECT_FALSE(health.may_serve(2)) << "it is what is broken";
  EXPECT_EQ(health.wake_at(), at(1010ms));
  ASSERT_EQ(health.begin_probe(at(1010ms)), 2U);
  EXPECT_EQ(health.probed(2, at(1010ms), std::nullopt).lane_back, 2U);
}

TEST(DeviceHealth, WhileALanesPictureIsNotBackAnotherLaneIsProbed) {
  DeviceHealth health(kPolicy, 8);
  static_cast<void>(run(health, 1, 0, at(0ms)));
  health.started(2, 1, 1, at(0ms), 10ms);
  EXPECT_TRUE(health.tick(at(500ms)).is_taken_out);
  ASSERT_EQ(health.begin_probe(at(750ms)), 1U);  // hangs
  static_cast<void>(health.tick(at(1250ms)));
  ASSERT_EQ(health.begin_probe(at(1750ms)), 0U);
  static_cast<void>(health.tick(at(2250ms)));  // hangs as well
  EXPECT_FALSE(health.begin_probe(at(3250ms))) << "nothing to learn";
  EXPECT_EQ(health.probes_failed(), 3);
  health.renew();
  EXPECT_TRUE(health.begin_probe(at(5250ms)));
}

TEST(DeviceHealth, EveryBatchIsEitherReportedOnceOrLostOnceAndAnOutageAlwaysEnds) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    DeviceHealth health(kPolicy, 32);
    TimePoint now = at(0ms);
    std::set<std::uint64_t> open, given_up;
    std::uint64_t id = 0;
    const auto take = [&](const DeviceHealth::Change& change) {
      for (const std::uint64_t lost : change.lost) {
        EXPECT_EQ(open.erase(lost), 1U);
        given_up.insert(lost);
      }
    };
    for (int step = 0; step < 400; ++step) {
      now += std::chrono::milliseconds(random() % 200);
      const auto lane = static_cast<LaneIndex>(random() % 3);
      if (health.may_serve(lane) && random() % 2 == 0) {
        health.started(++id, lane, 1 + random() % health.batch_max(), now, 20ms);
        open.insert(id);
      }
      std::set<std::uint64_t>& from = random() % 4 == 0 ? given_up : open;
      if (!from.empty() && random() % 2 == 0) {
        const std::uint64_t back = *from.begin();
        from.erase(from.begin());
        const ErrorCode errors[] = {ErrorCode::kInternal, ErrorCode::kResourceExhausted,
                                    ErrorCode::kUnavailable, ErrorCode::kCancelled};
        take(health.finished(
            back, now, random() % 3 == 0 ? std::optional(errors[random() % 4]) : std::nullopt));
      }
      take(health.tick(now));
      const std::optional<LaneIndex> probe = health.begin_probe(now);
      if (probe && random() % 3 != 0)
        take(health.probed(*probe, now,
                           random() % 2 ? std::optional(ErrorCode::kInternal) : std::nullopt));
      EXPECT_EQ(health.in_flight(), open.size());
      EXPECT_EQ(health.may_serve(), health.state() == HealthState::kServing);
      if (!health.may_serve()) {
        ASSERT_TRUE(health.wake_at());
        EXPECT_LE(*health.wake_at(), now + kPolicy.probe_most);
      }
    }
  }
}

}  // namespace
}  // namespace framemill
