// What a recorded run says of its cameras comes back as it went in: arrivals, delays, motion, loss.

#include "framemill/plan/scene_trace.h"

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/plan/simulated_device.h"
#include "framemill/sched/dispatch_replay.h"
#include "framemill/sched/need_model.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

DispatchTraceHeader header(std::vector<PolicyKind> policies) {
  DispatchTraceHeader made;
  for (const PolicyKind policy : policies) {
    made.cameras.push_back("c" + std::to_string(made.cameras.size()));
    made.options.cameras.push_back({policy, Priority::kNormal, 200ms, 100ms, 0});
  }
  return made;
}

FrameArrived arrival(CameraIndex camera, std::int64_t seq, Duration at, Duration captured,
                     ObjectDoubt doubt = {}) {
  FrameArrived record{.at = TimePoint(at)};
  record.frame.sampled = {
      .camera = camera, .is_stream_start = seq == 0, .is_scene_start = seq == 0, .doubt = doubt};
  record.frame.seq = seq;
  record.frame.captured_at = TimePoint(captured);
  return record;
}

SceneTrace finish(SceneTraceBuilder& builder) {
  Result<SceneTrace> trace = builder.finish();
  EXPECT_TRUE(trace.has_value()) << trace.error().message();
  return *std::move(trace);
}

TEST(SceneTraceBuilder, ArrivalsAreLaidOnAnEvenGrid) {
  SceneTraceBuilder builder(header({PolicyKind::kFull}));
  // 10 a second of 25 frames/s: 120 and 80 ms in turn; captured 7 ms before; then a gap, and on.
  const Duration waits[] = {0ms, 120ms, 80ms, 120ms, 80ms, 2000ms, 120ms, 80ms, 120ms, 80ms};
  Duration at{0};
  std::int64_t seq = 0;
  for (const Duration wait : waits) {
    at += wait;
    builder.add(arrival(0, seq++, at, at - 7ms));
  }
  const SceneTrace trace = finish(builder);
  ASSERT_EQ(trace.cameras.size(), 1U);
  const TracedCamera& camera = trace.cameras.front();
  EXPECT_EQ(camera.id, "c0");
  EXPECT_EQ(camera.period, 100ms) << "without the gap";
  EXPECT_FALSE(camera.has_motion);
  ASSERT_EQ(camera.frames.size(), std::size(waits));
  for (std::size_t i = 0; i < camera.frames.size(); ++i) {
    EXPECT_NEAR(to_ms(camera.frames[i].offset), i % 5 % 2 == 1 ? 20 : 0, 1e-6) << i;
    EXPECT_EQ(camera.frames[i].delay, 7ms);
    EXPECT_FALSE(camera.frames[i].is_scene_start) << "the start of a stream is not one of a scene";
  }
  EXPECT_EQ(trace.length, at);
}

TEST(SceneTraceBuilder, DoubtIsSharedOutOverTheFramesItGatheredIn) {
  SceneTraceBuilder builder(header({PolicyKind::kAdaptive}));
  const auto add = [&](std::int64_t seq, ObjectDoubt doubt) {
    builder.add(arrival(0, seq, seq * 100ms, seq * 100ms, doubt));
  };
  add(0, {});
  add(1, {.age = 1, .objects = 4, .drift = .1, .unexplained = .02});
  add(2, {.age = 2, .objects = 4, .drift = .3, .unexplained = .02});  // grew by .2
  add(3, {.age = 1, .objects = 5, .drift = .4, .unexplained = .01});  // a new key frame
  add(4, {});                                                         // nothing was said,
  add(5, {});
  builder.add(DoubtRenewed{0, 5, {.age = 3, .objects = 5, .drift = .6, .unexplained = .03}});
  add(6, {.age = 2, .objects = 5, .drift = .5, .unexplained = 0});  // the key came in between
  const SceneTrace trace = finish(builder);
  const std::vector<TracedFrame>& frames = trace.cameras.front().frames;
  EXPECT_TRUE(trace.cameras.front().has_motion);
  const double drifts[] = {0, .1, .2, .4, .1, .1, .25};
  const double unexplained[] = {0, .02, 0, .01, .01, .01, 0};
  const double objects[] = {0, 4, 4, 5, 5, 5, 5};
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_NEAR(frames[i].drift, drifts[i], 1e-12) << i;
    EXPECT_NEAR(frames[i].unexplained, unexplained[i], 1e-12) << i;
    EXPECT_EQ(frames[i].objects, objects[i]) << i;
  }
}

TEST(SceneTraceBuilder, WhatTheModelFoundWrongSetsTheLoss) {
  // Two cameras with the same doubt; the model finds twice what was expected of one, nothing of
  // the other.
  const ObjectDoubt doubt{.age = 1, .objects = 4, .drift = .4};
  SceneTraceBuilder builder(header({PolicyKind::kAdaptive, PolicyKind::kAdaptive}));
  const double expected = expected_wrong(doubt);
  constexpr int kLooks = 2000;
  for (CameraIndex camera : {0U, 1U}) {
    for (std::int64_t seq = 0; seq < 3; ++seq)
      builder.add(arrival(camera, seq, seq * 100ms, seq * 100ms, doubt));
  }
  // 4 of 1000 wrong a look, so that it comes out whole.
  const auto wrong = static_cast<std::int64_t>(std::llround(2 * expected * 1000));
  for (int i = 0; i < kLooks; ++i) {
    const std::int64_t now = wrong * (i + 1) / 1000 - wrong * i / 1000;
    builder.add(ErrorLearned{0, doubt, {.found = 4 - now, .wanted = 4}});
    builder.add(ErrorLearned{1, doubt, {.found = 4, .wanted = 4}});
  }
  const SceneTrace trace = finish(builder);
  EXPECT_NEAR(trace.cameras[0].frames[1].loss, 2 * expected / 8, .005 * expected);
  EXPECT_NEAR(trace.cameras[1].frames[1].loss, 0, .005 * expected);
  EXPECT_EQ(trace.busiest_camera, 0U);
  EXPECT_EQ(trace.cameras[0].sure_objects, 4);
}

TEST(SceneTraceBuilder, FindsWhereMostIsLost) {
  SceneTraceBuilder builder(header({PolicyKind::kAdaptive, PolicyKind::kAdaptive}));
  for (std::int64_t seq = 0; seq < 600; ++seq) {
    for (CameraIndex camera : {0U, 1U}) {
      const bool is_busy = camera == 1 && seq >= 250 && seq < 350;
      builder.add(arrival(camera, seq, seq * 100ms, seq * 100ms,
                          {.age = 1, .objects = 1, .drift = is_busy ? .5 : .1}));
    }
  }
  const SceneTrace trace = finish(builder);
  EXPECT_EQ(trace.busiest_camera, 1U);
  EXPECT_EQ(trace.busiest_begin, 250U);
  EXPECT_EQ(trace.busiest_end, 350U) << "10 s at 10/s";
}

TEST(SceneTraceBuilder, SaysWhatCannotBePlayed) {
  SceneTraceBuilder nothing(header({PolicyKind::kFull}));
  nothing.add(arrival(0, 0, 0ms, 0ms));
  nothing.add(arrival(9, 0, 0ms, 0ms));
  const Result<SceneTrace> none = nothing.finish();
  ASSERT_FALSE(none.has_value());
  EXPECT_THAT(none.error().message(), HasSubstr("no camera brought two frames"));
  SceneTraceBuilder backwards(header({PolicyKind::kFull}));
  backwards.add(arrival(0, 0, 100ms, 0ms));
  backwards.add(arrival(0, 1, 50ms, 0ms));
  const Result<SceneTrace> back = backwards.finish();
  ASSERT_FALSE(back.has_value());
  EXPECT_THAT(back.error().message(), HasSubstr("frame 1 of c0 came before the one before it"));
  SceneTraceBuilder still(header({PolicyKind::kFull}));
  still.add(arrival(0, 0, 0ms, 0ms));
  still.add(arrival(0, 1, 0ms, 0ms));
  EXPECT_GE(finish(still).cameras.front().period, 1ms) << "playing it has to get on";
}

// In simulated time.

LatencyDistribution exactly(Duration time) { return {std::vector<Duration>(101, time)}; }
/// Two batches of one at a time, 30 ms each.
SimulatedDevice device_of(std::size_t cameras, PolicyKind policy,
                          std::shared_ptr<const SceneTrace> trace) {
  DeviceProfile profile{.device = "CPU", .model = "m", .precision = "int8"};
  profile.run_streams = profile.knee_streams = 2;
  profile.points = {{.batch = 1, .streams = 1, .frames_per_s = 33, .service = exactly(30ms)},
                    {.batch = 1, .streams = 2, .frames_per_s = 66, .service = exactly(30ms)}};
  SimulatedDevice device;
  device.lanes = {*ServiceDraws::create(profile, 0)};
  device.length = 60s;
  for (std::size_t i = 0; i < cameras; ++i) {
    SimulatedCamera camera;
    camera.dispatch = {policy, Priority::kNormal, 200ms, 100ms, 0};
    if (trace) camera.traced = i % trace->cameras.size();
    device.cameras.push_back(camera);
  }
  device.trace = std::move(trace);
  return device;
}
const ClassFigures& normal(const DeviceFigures& figures) {
  return figures.classes[static_cast<std::size_t>(Priority::kNormal)];
}

/// One camera, `frames` of which each loses `loss` and came `delay` after its capture.
std::shared_ptr<SceneTrace> even_trace(std::size_t frames, double loss, Duration delay) {
  auto trace = std::make_shared<SceneTrace>();
  TracedCamera camera{.id = "c", .period = 100ms, .has_motion = true, .sure_objects = 3};
  camera.frames.assign(frames, {.delay = delay, .objects = 3, .drift = loss * 6, .loss = loss});
  trace->cameras = {camera};
  trace->busiest_camera = 0;
  trace->busiest_end = frames;
  return trace;
}

TEST(TracedCameras, TheDelayBeforeTheSchedulerCounts) {
  const DeviceFigures plain =
      simulate_device(device_of(1, PolicyKind::kFull, even_trace(50, 0, 0ms)));
  const DeviceFigures late =
      simulate_device(device_of(1, PolicyKind::kFull, even_trace(50, 0, 70ms)));
  EXPECT_NEAR(to_ms(normal(plain).inferred_latency.percentile(.5)), 30, .5);
  EXPECT_NEAR(to_ms(normal(late).inferred_latency.percentile(.5)), 100, 1);
  const DeviceFigures hopeless =
      simulate_device(device_of(1, PolicyKind::kFull, even_trace(50, 0, 190ms)));
  EXPECT_EQ(normal(hopeless).not_on_time + normal(hopeless).in_flight, normal(hopeless).sampled);
}

TEST(TracedCameras, ArrivalsKeepThePatternOfTheRecording) {
  auto trace = even_trace(50, 0, 0ms);
  auto camera = trace->cameras.front();
  for (std::size_t i = 1; i < camera.frames.size(); i += 2) camera.frames[i].offset = 40ms;
  trace->cameras = {camera};
  const DeviceFigures figures = simulate_device(device_of(1, PolicyKind::kFull, trace));
  // 140 and 60 ms between answers in turn.
  EXPECT_NEAR(to_seconds(normal(figures).gap_periods.percentile(.25)), .6, .02);
  EXPECT_NEAR(to_seconds(normal(figures).gap_periods.percentile(.75)), 1.4, .02);
}

TEST(TracedCameras, FidelityFollowsTheLossThatWasRecorded) {
  // 20 cameras of 10/s share 66/s: two of three frames are carried.
  const auto fidelity = [](double loss) {
    const DeviceFigures figures =
        simulate_device(device_of(20, PolicyKind::kAdaptive, even_trace(50, loss, 0ms)));
    EXPECT_EQ(normal(figures).sampled, normal(figures).outcomes());
    return normal(figures).fidelity_sum / static_cast<double>(normal(figures).sampled);
  };
  EXPECT_NEAR(fidelity(0), 1, .01);
  const double some = 1 - fidelity(.01);
  const double more = 1 - fidelity(.02);
  EXPECT_NEAR(more / some, 2, .25);
  EXPECT_GT(some, .005);
}

TEST(TracedCameras, ACameraWithMoreObjectsCountsForMore) {
  // As fidelity pools detections: of two cameras one has three of four objects and loses them.
  auto trace = even_trace(50, .02, 0ms);
  trace->cameras.push_back(trace->cameras.front());
  for (TracedFrame& frame : trace->cameras.back().frames) frame.loss = frame.drift = 0;
  const auto lost = [&](double weight) {
    SimulatedDevice device = device_of(20, PolicyKind::kAdaptive, trace);
    device.share = .2;
    for (SimulatedCamera& camera : device.cameras) {
      camera.weight = *camera.traced == 0 ? weight : 2 - weight;
    }
    const ClassFigures figures = normal(simulate_device(device));
    return 1 - figures.fidelity_sum / static_cast<double>(figures.sampled);
  };
  EXPECT_GT(lost(1.5) - lost(1), .002);
  EXPECT_NEAR(lost(1.5) - lost(1), lost(1) - lost(.5), 1e-9) << "no decision hangs on it";
}

TEST(TracedCameras, ASceneStartIsInferred) {
  // Idle but for scene starts: a small budget, and nothing else moves.
  auto trace = even_trace(50, 0, 0ms);
  auto camera = trace->cameras.front();
  SimulatedDevice calm = device_of(4, PolicyKind::kAdaptive, trace);
  calm.share = .1;
  camera.frames[10].is_scene_start = true;
  auto cut = std::make_shared<SceneTrace>(*trace);
  cut->cameras = {camera};
  SimulatedDevice cutting = calm;
  cutting.trace = cut;
  const DeviceFigures without = simulate_device(calm);
  const DeviceFigures with = simulate_device(cutting);
  // 60 s of 5 s loops in four cameras: 48 cuts, each of which loses all until it was inferred.
  const double lost = normal(without).fidelity_sum - normal(with).fidelity_sum;
  EXPECT_GT(lost, 20) << "until a token is there, boxes of another scene are answered";
  EXPECT_LT(lost, 48 * 2) << "but it has the next one";
}

TEST(TracedCameras, MotionPassesAtItsOwnSpeed) {
  // Played at half and at twice the rate, a second loses as much as it did.
  const auto loss_per_s = [](Duration period) {
    SimulatedDevice device = device_of(1, PolicyKind::kHold, even_trace(50, .01, 0ms));
    device.cameras.front().dispatch.period = period;
    device.share = .1;
    const DeviceFigures figures = simulate_device(device);
    const double lost =
        1 - normal(figures).fidelity_sum / static_cast<double>(normal(figures).sampled);
    return lost / to_seconds(period);  // grows with the frames carried, nine of ten
  };
  const double usual = loss_per_s(100ms);
  EXPECT_NEAR(usual, .01 * 4.5 / .1, .02);
  EXPECT_NEAR(loss_per_s(200ms) / usual, 1, .1);
  EXPECT_NEAR(loss_per_s(50ms) / usual, 1, .1);
}

TEST(TracedCameras, ASimulatedRunReplaysAsARecordedOneDoes) {
  for (const double share : {1.0, .3}) {
    SimulatedDevice device = device_of(12, PolicyKind::kAdaptive, even_trace(50, .01, 3ms));
    device.share = share;
    device.cameras[3].dispatch.priority = Priority::kCritical;
    device.cameras[5].dispatch.policy = PolicyKind::kFull;
    std::vector<DispatchRecord> records;
    const DeviceFigures recorded = simulate_device(
        device, [&](DispatchRecord&& record) { records.push_back(std::move(record)); });
    EXPECT_EQ(recorded.events, simulate_device(device).events) << "recording changes nothing";
    const auto replay = DispatchReplay::create(dispatch_options(device), TimePoint{});
    ASSERT_TRUE(replay.has_value());
    for (const DispatchRecord& record : records) {
      const Result<void> same = (*replay)->feed(record);
      ASSERT_TRUE(same.has_value()) << same.error().message();
    }
    EXPECT_GT((*replay)->records(), 10'000);
  }
}

}  // namespace
}  // namespace framemill
