#include "framemill/sched/dispatch_devices.h"

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

TimePoint at(Duration time) { return TimePoint(time); }

DispatchDevice device(Duration one, std::size_t slots = 1) {
  DispatchDevice device{.batches_max = slots, .lane_knees = {}, .lane_times = {}};
  device.lane_times.resize(1);
  device.lane_times.front().seed(1, one);
  return device;
}

WaitingFrame frame(CameraIndex camera, Duration deadline, std::uint32_t lane = 0) {
  return {.camera = camera,
          .model = lane,
          .arrived_at = at(0ms),
          .deadline = at(deadline),
          .served_until = at(0ms)};
}

struct Tested {
  explicit Tested(const std::vector<DispatchDevice>& list) : devices(list) {
    devices.add_lane(1, 1, kAllDevices);
  }
  /// The device that takes the best of `frames`; none: nothing is sent.
  std::optional<DeviceIndex> send(const std::vector<WaitingFrame>& frames, Duration now) {
    const DeviceIndex device = devices.choose(frames, {}, at(now), {}, decision);
    if (decision.send.empty()) return std::nullopt;
    devices.begin_batch(at(now), device, frames[decision.send.front()].model, 1);
    return device;
  }
  DispatchDevices devices;
  BatchDecision decision;
};

TEST(DispatchDevices, TheFastestFreeOneGoesFirstThenTheNext) {
  Tested tested({device(40ms), device(10ms), device(20ms)});
  const std::vector<WaitingFrame> one{frame(0, 200ms)};
  EXPECT_EQ(tested.send(one, 0ms), 1U);
  EXPECT_EQ(tested.send(one, 0ms), 2U);
  EXPECT_EQ(tested.send(one, 0ms), 0U);
  EXPECT_EQ(tested.send(one, 0ms), std::nullopt);
  EXPECT_TRUE(tested.devices.is_full());
  tested.devices.end_batch(2, 0, 1, 20ms);
  EXPECT_EQ(tested.send(one, 20ms), 2U);
}

TEST(DispatchDevices, EqualOnesShareTheLoad) {
  Tested tested({device(20ms, 2), device(21ms, 2)});
  const std::vector<WaitingFrame> one{frame(0, 200ms)};
  std::vector<DeviceIndex> order;
  for (int i = 0; i < 4; ++i) order.push_back(tested.send(one, 0ms).value());
  EXPECT_THAT(order, ElementsAre(0, 1, 0, 1));
}

TEST(DispatchDevices, ASlowOneTakesOnlyWhatItAnswersInTime) {
  Tested tested({device(10ms), device(100ms)});
  const std::vector<WaitingFrame> frames{frame(0, 60ms), frame(1, 300ms)};
  EXPECT_EQ(tested.send(frames, 0ms), 0U);
  const std::vector<WaitingFrame> urgent{frame(0, 60ms)};
  // As it was never used it may show once what it can; then the frame waits for the fast one.
  EXPECT_EQ(tested.send(urgent, 0ms), 1U);
  tested.devices.end_batch(1, 0, 1, 100ms);
  EXPECT_EQ(tested.send(urgent, 5ms), std::nullopt);
  EXPECT_THAT(tested.decision.hopeless, IsEmpty()) << "the fast one still has the time";
  EXPECT_EQ(tested.send({frame(1, 300ms)}, 5ms), 1U);
}

TEST(DispatchDevices, OneThatWasPassedOverForASecondIsTried) {
  Tested tested({device(10ms), device(100ms)});
  tested.devices.begin_batch(at(0ms), 1, 0, 1);
  tested.devices.end_batch(1, 0, 1, 100ms);
  int tries = 0;
  for (int ms = 0; ms < 3500; ms += 10) {
    const Duration now = std::chrono::milliseconds(ms);
    const std::vector<WaitingFrame> frames{frame(0, now + 60ms), frame(1, now + 60ms)};
    while (const auto device = tested.send(frames, now)) {
      if (*device == 1) ++tries;
      tested.devices.end_batch(*device, 0, 1, *device == 1 ? 100ms : 10ms);
      if (*device == 1) break;
      tested.devices.begin_batch(at(now), 0, 0, 1);  // busy until the next look
    }
    if (tested.devices.is_full() || !tested.devices.has_free_slot()) continue;
    tested.devices.end_batch(0, 0, 1, 10ms);
  }
  EXPECT_EQ(tries, 3) << "one a second, although frames wait all the time";
}

// Promise: a device that is well again after a slow-down is back within some tries, not some
// seconds.
TEST(DispatchDevices, OneThatShowsThatItIsFastAgainIsTriedAtOnce) {
  Tested tested({device(10ms), device(100ms)});
  tested.devices.begin_batch(at(0ms), 0, 0, 1);  // the fast one is busy all the time
  tested.devices.begin_batch(at(0ms), 1, 0, 1);
  tested.devices.end_batch(1, 0, 1, 100ms);
  const auto send = [&](Duration now) { return tested.send({frame(0, now + 60ms)}, now); };
  EXPECT_EQ(send(500ms), std::nullopt) << "it is too slow";
  EXPECT_EQ(send(1s), 1U) << "a try";
  tested.devices.end_batch(1, 0, 1, 10ms);
  Duration now = 1s;
  const auto is_in_time = [&] { return tested.devices.times(1, 0).p95(1) + 2ms <= 60ms; };
  for (; now < 2s && !is_in_time(); now += 12ms) {
    ASSERT_EQ(send(now), 1U) << to_ms(now);
    tested.devices.end_batch(1, 0, 1, 10ms);
  }
  EXPECT_LT(now, 1500ms);
  // One that is slow after all waits for its second again.
  Tested other({device(10ms), device(100ms)});
  other.devices.begin_batch(at(0ms), 0, 0, 1);
  for (const Duration took : {10ms, 100ms}) {
    ASSERT_EQ(other.send({frame(0, 1060ms)}, 1s), 1U);
    other.devices.end_batch(1, 0, 1, took);
  }
  EXPECT_EQ(other.send({frame(0, 1160ms)}, 1100ms), std::nullopt);
}

TEST(DispatchDevices, AFrameIsGivenUpWhenNoneCanAnswerIt) {
  Tested tested({device(10ms), device(100ms)});
  tested.devices.begin_batch(at(0ms), 0, 0, 1);
  tested.devices.begin_batch(at(0ms), 1, 0, 1);
  EXPECT_EQ(tested.send({frame(0, 5ms), frame(1, 60ms)}, 1ms), std::nullopt);
  EXPECT_THAT(tested.decision.hopeless, ElementsAre(0));
}

TEST(DispatchDevices, OneThatIsOutTakesNothingAndWithoutAnyAllAreGivenUp) {
  Tested tested({device(10ms), device(20ms)});
  EXPECT_EQ(tested.devices.slots(), 2U);
  tested.devices.set_state(0, false, 32);
  EXPECT_EQ(tested.devices.slots(), 1U);
  EXPECT_EQ(tested.send({frame(0, 200ms)}, 0ms), 1U);
  EXPECT_EQ(tested.devices.fastest(0), 1U);
  tested.devices.set_state(1, false, 32);
  EXPECT_FALSE(tested.devices.is_served(0));
  EXPECT_FALSE(tested.devices.is_full()) << "full is what may become free";
  EXPECT_EQ(tested.send({frame(0, 200ms), frame(1, 200ms)}, 0ms), std::nullopt);
  EXPECT_THAT(tested.decision.hopeless, ElementsAre(0, 1));
}

TEST(DispatchDevices, ALaneStaysOnTheDevicesThatHaveItsModel) {
  Tested tested({device(10ms), device(20ms)});
  tested.devices.add_lane(1, 1, 0b10);
  EXPECT_EQ(tested.send({frame(0, 200ms, 1)}, 0ms), 1U);
  EXPECT_EQ(tested.send({frame(0, 200ms, 1)}, 0ms), std::nullopt);
  EXPECT_THAT(tested.decision.hopeless, IsEmpty());
  tested.devices.set_state(1, false, 32);
  EXPECT_FALSE(tested.devices.is_served(1));
  EXPECT_TRUE(tested.devices.is_served(0));
  EXPECT_EQ(tested.send({frame(0, 200ms, 1)}, 0ms), std::nullopt);
  EXPECT_THAT(tested.decision.hopeless, ElementsAre(0));
}

TEST(DispatchDevices, MemoryLimitsTheBatchOfOneDevice) {
  DispatchDevices devices({device(10ms), device(10ms)});
  devices.add_lane(16, 8, kAllDevices);
  EXPECT_EQ(devices.knee_max(), 8U);
  devices.set_state(0, true, 2);
  EXPECT_EQ(devices.knee_max(), 8U);
  devices.set_state(1, true, 4);
  EXPECT_EQ(devices.knee_max(), 4U);
  devices.set_knee(16);
  EXPECT_EQ(devices.knee_max(), 4U) << "remembered";
}

TEST(DispatchDevices, OneDeviceDecidesAsDecideBatchDoes) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    const DispatchDevice only = device(std::chrono::milliseconds(1 + random() % 60), 2);
    Tested tested({only});
    const std::size_t in_flight = random() % 3;
    for (std::size_t i = 0; i < in_flight; ++i) tested.devices.begin_batch(at(0ms), 0, 0, 1);
    std::vector<WaitingFrame> frames;
    for (CameraIndex i = 0; i < random() % 6; ++i)
      frames.push_back(frame(i, std::chrono::milliseconds(random() % 120)));
    const Duration now = std::chrono::milliseconds(random() % 20);
    BatchDecision decision;
    (void)tested.devices.choose(frames, {}, at(now), {}, decision);
    DeviceState state{.batches_in_flight = in_flight, .batches_max = 2};
    if (in_flight > 0) state.free_at = at(0ms) + only.lane_times.front().mean(1);
    EXPECT_EQ(decision, decide_batch(frames, {}, at(now), {}, only.lane_times, state));
  }
}

TEST(DispatchDevices, AFreeServingDeviceNeverLeavesAFrameThatItCouldAnswer) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    std::vector<DispatchDevice> list;
    for (std::size_t i = 0; i < 3; ++i)
      list.push_back(device(std::chrono::milliseconds(1 + random() % 80), 1 + random() % 2));
    Tested tested(list);
    for (DeviceIndex i = 0; i < 3; ++i) {
      if (random() % 4 == 0) tested.devices.set_state(i, false, 32);
      if (random() % 2 == 0) tested.devices.begin_batch(at(0ms), i, 0, 1);
    }
    std::vector<WaitingFrame> frames;
    for (CameraIndex i = 0; i < 5; ++i)
      frames.push_back(frame(i, std::chrono::milliseconds(random() % 150)));
    const DeviceIndex chosen = tested.devices.choose(frames, {}, at(0ms), {}, tested.decision);
    for (const std::size_t i : tested.decision.send) {
      EXPECT_TRUE(tested.devices.is_serving(chosen));
      EXPECT_EQ(std::ranges::count(tested.decision.hopeless, i), 0);
    }
    if (!tested.decision.send.empty()) continue;
    // Nothing was sent: what is left waits for a device that is busy and fast enough.
    for (std::size_t i = 0; i < frames.size(); ++i) {
      if (std::ranges::count(tested.decision.hopeless, i) > 0) continue;
      bool is_hope = false;
      for (DeviceIndex d = 0; d < 3; ++d)
        is_hope |= tested.devices.is_serving(d) &&
                   at(0ms) + list[d].lane_times.front().p95(1) <= frames[i].deadline;
      EXPECT_TRUE(is_hope);
    }
  }
}

}  // namespace
}  // namespace framemill
