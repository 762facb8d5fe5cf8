// The rules of LiveDispatch one by one, and that every frame is named exactly once, whatever
// happens. How well it schedules is for the simulator's tests.

#include "framemill/sched/live_dispatch.h"

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

TimePoint at(Duration since_start) { return TimePoint(since_start); }

LiveDispatchOptions options_of(std::size_t cameras, PolicyKind policy, double share = 1) {
  LiveDispatchOptions options;
  options.inference.share = share;
  for (std::size_t i = 0; i < cameras; ++i) {
    options.cameras.push_back({.policy = policy, .slo = 200ms, .period = 100ms});
    options.inference.cameras.push_back({policy, Priority::kNormal});
  }
  options.lane_times.resize(1);
  options.lane_times.front().seed(1, 30ms);
  return options;
}

ArrivedFrame frame_of(CameraIndex camera, std::int64_t seq, TimePoint captured) {
  return {.sampled = {.camera = camera,
                      .is_stream_start = seq == 0,
                      .is_scene_start = seq == 0,
                      .doubt = {.age = seq, .objects = 2}},
          .seq = seq,
          .captured_at = captured};
}

/// Under test, with one lane.
struct Tested {
  explicit Tested(LiveDispatchOptions options) : dispatch(std::move(options), at(0ms)) {
    dispatch.add_lane(1);
  }
  DispatchDecision decide(Duration now, std::optional<InferenceCause> audit = std::nullopt) {
    DispatchDecision decision;
    dispatch.decide(at(now), audit, decision);
    return decision;
  }
  std::optional<std::int64_t> arrive(CameraIndex camera, std::int64_t seq, Duration now) {
    return dispatch.arrive(frame_of(camera, seq, at(now)), at(now));
  }
  void complete(CameraIndex camera, Duration now) {
    dispatch.complete(at(now), 0, 1, {&camera, 1}, 30ms);
  }
  LiveDispatch dispatch;
};

TEST(LiveDispatch, ANewerFrameReplacesTheOneThatWaits) {
  Tested tested(options_of(1, PolicyKind::kFull));
  EXPECT_EQ(tested.arrive(0, 0, 0ms), std::nullopt);
  EXPECT_EQ(tested.arrive(0, 1, 100ms), 0);
  EXPECT_EQ(tested.decide(100ms).batch, (std::vector<SentFrame>{{0, 1, 0, false}}));
  EXPECT_EQ(tested.dispatch.waiting(0), std::nullopt);
}

TEST(LiveDispatch, HoldGivesBackWhatThePolicyDoesNotInfer) {
  Tested tested(options_of(1, PolicyKind::kHold, .5));
  EXPECT_EQ(tested.arrive(0, 0, 0ms), std::nullopt);
  EXPECT_EQ(tested.decide(0ms).batch.size(), 1U);
  tested.complete(0, 30ms);
  EXPECT_EQ(tested.arrive(0, 1, 100ms), 1) << "carried: it comes straight back";
  EXPECT_EQ(tested.arrive(0, 2, 200ms), std::nullopt);
}

TEST(LiveDispatch, AnAdaptiveFrameAtAModelIsGivenUpJustBeforeItsDeadline) {
  Tested tested(options_of(1, PolicyKind::kAdaptive));
  EXPECT_EQ(tested.arrive(0, 0, 0ms), std::nullopt);
  const DispatchDecision sent = tested.decide(0ms);
  ASSERT_EQ(sent.batch.size(), 1U);
  EXPECT_TRUE(sent.batch.front().is_forced) << "the first of its camera";
  const DispatchDecision before = tested.decide(194ms);
  EXPECT_TRUE(before.unserved.empty());
  EXPECT_EQ(before.wake_at, at(195ms));
  EXPECT_EQ(tested.decide(195ms).unserved, (std::vector<UnservedFrame>{{0, 0}}));
  EXPECT_FALSE(tested.dispatch.claim(0, 0)) << "it was given up";
  EXPECT_TRUE(tested.decide(200ms).unserved.empty()) << "once";
}

TEST(LiveDispatch, ACameraOfWhichNothingIsKnownIsInferredEvenIfLate) {
  // A machine so busy that an inference takes longer than the slo, or frames come in late: what is
  // carried later needs a first inference all the same.
  LiveDispatchOptions options = options_of(2, PolicyKind::kAdaptive);
  options.lane_times.front().seed(1, 300ms);
  Tested tested(std::move(options));
  EXPECT_EQ(tested.dispatch.arrive(
                {.sampled = {.camera = 1, .doubt = {.age = 9, .objects = 5}}, .seq = 7}, at(0ms)),
            std::nullopt);
  EXPECT_EQ(tested.dispatch.arrive(frame_of(0, 0, at(0ms)), at(250ms)), std::nullopt);
  const DispatchDecision decision = tested.decide(250ms);
  EXPECT_EQ(decision.batch, (std::vector<SentFrame>{{0, 0, 0, true}}));
  EXPECT_EQ(decision.unserved, (std::vector<UnservedFrame>{{1, 7}, {0, 0}}))
      << "its own answer does not wait longer";
  tested.complete(0, 550ms);
  EXPECT_EQ(tested.arrive(0, 1, 560ms), std::nullopt);
  EXPECT_TRUE(tested.decide(760ms).batch.empty()) << "from then on as any other";
}

TEST(LiveDispatch, AClaimedFrameIsNotGivenUp) {
  Tested tested(options_of(1, PolicyKind::kAdaptive));
  EXPECT_EQ(tested.arrive(0, 0, 0ms), std::nullopt);
  ASSERT_EQ(tested.decide(0ms).batch.size(), 1U);
  EXPECT_TRUE(tested.dispatch.claim(0, 0));
  EXPECT_TRUE(tested.decide(1s).unserved.empty());
}

TEST(LiveDispatch, OfManyAdaptiveFramesOnlyTheNeediestWait) {
  Tested tested(options_of(20, PolicyKind::kAdaptive));
  for (CameraIndex camera = 0; camera < 20; ++camera) {  // their starts are over
    EXPECT_EQ(tested.dispatch.arrive(
                  {.sampled = {.camera = camera, .doubt = {.age = 1 + camera, .objects = 2}},
                   .seq = 5,
                   .captured_at = at(0ms)},
                  at(0ms)),
              std::nullopt);
  }
  const DispatchDecision decision = tested.decide(10ms);
  ASSERT_EQ(decision.batch.size(), 1U);
  EXPECT_EQ(decision.batch.front().camera, 19U) << "the oldest boxes";
  EXPECT_EQ(decision.unserved.size(), 15U) << "four wait for the one slot";
  for (CameraIndex camera = 15; camera < 19; ++camera) {
    EXPECT_TRUE(tested.dispatch.waiting(camera).has_value()) << camera;
  }
}

TEST(LiveDispatch, ADueAuditGoesFirstAndAnotherFillsAFreeSlot) {
  Tested tested(options_of(1, PolicyKind::kAdaptive));
  EXPECT_TRUE(tested.decide(0ms, InferenceCause::kAudit).is_audit_wanted);
  EXPECT_EQ(tested.arrive(0, 0, 0ms), std::nullopt);
  EXPECT_FALSE(tested.decide(0ms, InferenceCause::kAudit).is_audit_wanted) << "need goes first";
  Tested other(options_of(1, PolicyKind::kAdaptive));
  EXPECT_EQ(other.arrive(0, 0, 0ms), std::nullopt);
  const DispatchDecision due = other.decide(0ms, InferenceCause::kDueAudit);
  EXPECT_TRUE(due.is_audit_wanted);
  EXPECT_TRUE(due.batch.empty());
  other.dispatch.send_audit(at(0ms), 0, InferenceCause::kDueAudit);
  EXPECT_TRUE(other.decide(0ms).batch.empty()) << "the slot is taken";
}

// Random worlds: nothing is lost, nothing is named twice.
/// Camera 0 is critical, two slots, an inference takes 30 ms; its first frame came at 0 and is
/// done.
Tested with_a_critical_camera(Duration slo) {
  LiveDispatchOptions options = options_of(3, PolicyKind::kFull);
  options.batches_max = 2;
  options.cameras[0].priority = Priority::kCritical;
  options.cameras[0].slo = slo;
  return Tested(std::move(options));
}

void infer_first_frame(Tested& tested) {
  EXPECT_EQ(tested.arrive(0, 0, 0ms), std::nullopt);
  EXPECT_EQ(tested.decide(0ms).batch.size(), 1U);
  tested.complete(0, 30ms);
}

TEST(LiveDispatch, ASlotIsKeptForACriticalCameraThatCannotWaitForABatch) {
  Tested tested = with_a_critical_camera(50ms);
  infer_first_frame(tested);
  tested.arrive(1, 0, 80ms);
  tested.arrive(2, 0, 80ms);
  EXPECT_EQ(tested.decide(80ms).batch.size(), 1U) << "the other slot is for everybody";
  const DispatchDecision kept = tested.decide(80ms);
  EXPECT_TRUE(kept.batch.empty());
  EXPECT_EQ(kept.wake_at, at(125ms)) << "a quarter of a period after it was expected";
  tested.arrive(0, 1, 95ms);
  EXPECT_EQ(tested.decide(95ms).batch, (std::vector<SentFrame>{{0, 1, 0, false}}));
}

TEST(LiveDispatch, ASlotThatNoCriticalFrameTookGoesToTheOthers) {
  Tested tested = with_a_critical_camera(50ms);
  infer_first_frame(tested);
  tested.arrive(1, 0, 80ms);
  tested.arrive(2, 0, 80ms);
  EXPECT_EQ(tested.decide(80ms).batch.size(), 1U);
  EXPECT_TRUE(tested.decide(124ms).batch.empty());
  EXPECT_EQ(tested.decide(125ms).batch.size(), 1U);
}

TEST(LiveDispatch, NoSlotIsKeptWhereThereIsTimeToWaitOrNobodyToWaitFor) {
  for (const bool is_gone : {false, true}) {
    Tested tested = with_a_critical_camera(is_gone ? 50ms : 200ms);
    infer_first_frame(tested);
    if (is_gone) tested.dispatch.remove_camera(0);
    tested.arrive(1, 0, 80ms);
    tested.arrive(2, 0, 80ms);
    EXPECT_EQ(tested.decide(80ms).batch.size(), 1U);
    EXPECT_EQ(tested.decide(80ms).batch.size(), 1U) << is_gone;
  }
}

TEST(LiveDispatch, AnAuditDoesNotTakeTheSlotOfACriticalCamera) {
  Tested tested = with_a_critical_camera(50ms);
  infer_first_frame(tested);
  tested.arrive(1, 0, 80ms);
  EXPECT_EQ(tested.decide(80ms).batch.size(), 1U);
  EXPECT_FALSE(tested.decide(80ms, InferenceCause::kDueAudit).is_audit_wanted);
  EXPECT_TRUE(tested.decide(125ms, InferenceCause::kDueAudit).is_audit_wanted);
}

TEST(LiveDispatch, EveryFrameIsNamedExactlyOnce) {
  std::mt19937 rng(11);
  for (int round = 0; round < 60; ++round) {
    const auto policy = std::array{PolicyKind::kFull, PolicyKind::kHold,
                                   PolicyKind::kAdaptive}[static_cast<std::size_t>(round) % 3];
    const std::size_t cameras = 1 + rng() % 70;
    LiveDispatchOptions options = options_of(cameras, policy, round % 2 == 0 ? 1 : .3);
    options.batches_max = 1 + rng() % 3;
    options.knee_frames = std::size_t{1} << (rng() % 4);
    LiveDispatch dispatch(std::move(options), at(0ms));
    dispatch.add_lane(32);
    std::map<std::pair<CameraIndex, std::int64_t>, int> answered;
    std::vector<std::vector<SentFrame>> in_flight;
    std::vector<std::int64_t> next_seq(cameras);
    std::int64_t arrived = 0;
    for (int step = 0; step < 1500; ++step) {
      const TimePoint now = at(step * 3ms);
      const auto camera = static_cast<CameraIndex>(rng() % cameras);
      if (rng() % 2 == 0) {
        ++arrived;
        if (policy == PolicyKind::kAdaptive) {
          if (const auto seq = dispatch.withdraw(camera)) ++answered[{camera, *seq}];
        }
        const auto seq = dispatch.arrive(frame_of(camera, next_seq[camera]++, now), now);
        if (seq) ++answered[{camera, *seq}];
      } else if (!in_flight.empty()) {
        std::vector<CameraIndex> done;
        for (const SentFrame& frame : in_flight.front()) {
          const bool is_answer =
              policy != PolicyKind::kAdaptive || dispatch.claim(frame.camera, frame.seq);
          if (is_answer) ++answered[{frame.camera, frame.seq}];
          done.push_back(frame.camera);
        }
        dispatch.complete(now, 0, done.size(), done, 20ms);
        in_flight.erase(in_flight.begin());
      }
      DispatchDecision decision;
      do {
        dispatch.decide(now, std::nullopt, decision);
        if (!decision.batch.empty()) in_flight.push_back(decision.batch);
        for (const UnservedFrame& frame : decision.unserved) {
          ++answered[{frame.camera, frame.seq}];
        }
      } while (!decision.batch.empty());
      ASSERT_EQ(dispatch.batches_in_flight(), in_flight.size());
    }
    std::int64_t open = 0;
    for (CameraIndex camera = 0; camera < cameras; ++camera) {
      if (dispatch.waiting(camera)) ++open;
    }
    for (const std::vector<SentFrame>& batch : in_flight) {
      for (const SentFrame& frame : batch) {
        if (!answered.contains({frame.camera, frame.seq})) ++open;
      }
    }
    EXPECT_TRUE(std::ranges::all_of(answered, [](const auto& a) { return a.second == 1; }));
    EXPECT_EQ(arrived, static_cast<std::int64_t>(answered.size()) + open) << "round " << round;
  }
}

TEST(LiveDispatch, CamerasComeAndGo) {
  Tested tested(options_of(1, PolicyKind::kFull));
  tested.dispatch.add_camera({.policy = PolicyKind::kAdaptive, .slo = 200ms, .period = 100ms});
  EXPECT_TRUE(tested.dispatch.is_idle(1));
  EXPECT_EQ(tested.arrive(1, 0, 0ms), std::nullopt);
  EXPECT_FALSE(tested.dispatch.is_idle(1));
  EXPECT_EQ(tested.decide(0ms).batch, (std::vector<SentFrame>{{1, 0, 0, true}}));
  EXPECT_EQ(tested.arrive(1, 1, 100ms), std::nullopt);
  EXPECT_EQ(tested.dispatch.withdraw(1), 1);
  tested.dispatch.remove_camera(1);
  EXPECT_FALSE(tested.dispatch.is_idle(1)) << "a frame of it is at the model";
  EXPECT_TRUE(tested.dispatch.claim(1, 0));
  tested.complete(1, 130ms);
  EXPECT_TRUE(tested.dispatch.is_idle(1));
  EXPECT_TRUE(tested.dispatch.is_drained());
  // The other one goes on as before, and a third gets the next index.
  EXPECT_EQ(tested.arrive(0, 0, 200ms), std::nullopt);
  EXPECT_EQ(tested.decide(200ms).batch, (std::vector<SentFrame>{{0, 0, 0, false}}));
  tested.dispatch.add_camera({.policy = PolicyKind::kHold, .slo = 200ms});
  EXPECT_EQ(tested.arrive(2, 0, 200ms), std::nullopt);
}

TEST(LiveDispatch, AShareHoldsForCamerasThatCame) {
  Tested tested(options_of(1, PolicyKind::kHold));
  tested.dispatch.set_share(.25);
  tested.dispatch.add_camera({.policy = PolicyKind::kHold, .slo = 200ms});
  int inferred = 0;
  for (int i = 0; i < 40; ++i) {
    const Duration now = i * 100ms;
    if (tested.arrive(1, i, now)) continue;
    ++inferred;
    ASSERT_EQ(tested.decide(now).batch.size(), 1U);
    tested.complete(1, now + 30ms);
  }
  EXPECT_NEAR(inferred, 10, 1);
}

}  // namespace
}  // namespace framemill
