#include "framemill/sched/batch_policy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {

// How gtest prints a decision that differs.
void PrintTo(const BatchDecision& decision, std::ostream* out) {
  *out << "send:";
  for (const std::size_t i : decision.send) *out << ' ' << i;
  *out << " hopeless:";
  for (const std::size_t i : decision.hopeless) *out << ' ' << i;
  if (decision.wake_at) *out << " wake: " << to_ms(decision.wake_at->time_since_epoch()) << " ms";
}

namespace {

using namespace std::chrono_literals;

constexpr TimePoint at(Duration since_start) { return TimePoint(1h + since_start); }
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// p95 of a batch of 1, 2, 4, 8: 10, 12, 16, 24 ms, as a seed's p95 is 1.25 times its mean.
ServiceTimes known_times() {
  ServiceTimes times;
  times.seed(1, 8ms);
  times.seed(2, 9600us);
  times.seed(4, 12800us);
  times.seed(8, 19200us);
  return times;
}
const std::vector<ServiceTimes> kTimes{known_times(), known_times()};

constexpr BatchPolicy kCpu{.knee_frames = 1, .post_time = 2ms};
constexpr BatchPolicy kPairs{.knee_frames = 2, .linger = 5ms, .wake_margin = 1ms, .post_time = 2ms};
constexpr BatchPolicy kFours{.knee_frames = 4, .linger = 5ms, .wake_margin = 1ms, .post_time = 2ms};
constexpr DeviceState kIdle{.batches_in_flight = 0, .batches_max = 2};
constexpr DeviceState kHalfBusy{.batches_in_flight = 1, .batches_max = 2};
constexpr DeviceState kBusy{.batches_in_flight = 2, .batches_max = 2};

/// A normal frame that just arrived at 0, due at `deadline`, of a camera last served `stale_for`
/// ago.
WaitingFrame due(Duration deadline, Duration stale_for = 100ms, CameraIndex camera = 0) {
  return {.camera = camera,
          .arrived_at = at(0ms),
          .deadline = at(deadline),
          .served_until = at(-stale_for)};
}
WaitingFrame with(WaitingFrame frame, Priority priority) {
  frame.priority = priority;
  return frame;
}
WaitingFrame with_need(WaitingFrame frame, double need) {
  frame.need = need;
  return frame;
}
WaitingFrame of_model(WaitingFrame frame, std::uint32_t model) {
  frame.model = model;
  return frame;
}
WaitingFrame never_served(WaitingFrame frame) {
  frame.served_until = TimePoint::min();
  return frame;
}

using Queue = std::vector<WaitingFrame>;
using Expected = std::vector<ExpectedArrival>;
constexpr Priority kCritical = Priority::kCritical;
constexpr Priority kBackground = Priority::kBackground;
const std::optional<TimePoint> kAtOnce = at(0ms);

TEST(PriorityWeight, FallsWithTheClass) {
  EXPECT_EQ(priority_weight(Priority::kCritical), 16);
  EXPECT_EQ(priority_weight(Priority::kNormal), 4);
  EXPECT_EQ(priority_weight(Priority::kBackground), 1);
}

TEST(DecideBatch, ServesAKneeOfOneByTheTable) {
  const std::tuple<const char*, Queue, BatchDecision> cases[] = {
      {"an empty queue waits for an arrival", {}, {}},
      {"a frame leaves at once", {due(100ms)}, {.send = {0}}},
      {"the stalest camera first",
       {due(100ms, 100ms), due(100ms, 300ms), due(100ms, 200ms)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"critical before anything stale",
       {due(100ms, 1h), with(due(100ms, 1ms), kCritical)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"critical: worth a try that only the usual haste keeps in time",
       {with(due(9ms), kCritical), due(100ms, 1h)},
       {.send = {0}, .wake_at = kAtOnce}},
      {"not where even the fastest inference would be late",
       {with(due(8ms - 1ns), kCritical), due(100ms)},
       {.send = {1}, .hopeless = {0}}},
      {"normal weighs four times background",
       {with(due(100ms, 390ms), kBackground), due(100ms, 100ms)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"but not more",
       {with(due(100ms, 410ms), kBackground), due(100ms, 100ms)},
       {.send = {0}, .wake_at = kAtOnce}},
      {"need counts as much as staleness",
       {with_need(due(100ms, 200ms), .4), due(100ms, 100ms)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"equally stale: the fresher frame",
       {due(20ms), due(200ms)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"freshness weighs less than half as much staleness again",
       {due(20ms, 160ms), due(200ms, 100ms)},
       {.send = {0}, .wake_at = kAtOnce}},
      {"ties go by camera, not by place",
       {due(100ms, 100ms, 7), due(100ms, 100ms, 3), due(100ms, 100ms, 5)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"never served is the most stale there is",
       {due(100ms, 1h), never_served(due(100ms))},
       {.send = {1}, .wake_at = kAtOnce}},
      {"no need: last, but served",
       {with_need(due(100ms, 1h), 0), due(100ms, 1ms)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"no need, alone", {with_need(due(100ms), 0)}, {.send = {0}}},
      {"no need anywhere: the stalest",
       {with_need(due(100ms, 1s), 0), with_need(due(100ms, 2s), -3)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"a need that is not a number counts as 1",
       {with_need(due(100ms, 100ms), kNan), with_need(due(100ms, 100ms, 1), .9),
        with_need(due(100ms, 90ms, 2), kNan)},
       {.send = {0}, .wake_at = kAtOnce}},
      {"endless need of a camera served just now",
       {with_need(due(100ms, 0ms), kInfinity), due(100ms, 1ms)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"endless need",
       {due(100ms, 1h), with_need(due(100ms, 1ms), kInfinity)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"served in the future (clocks of two threads)",
       {due(100ms, -5ms), due(100ms, 1ms)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"just in time: p95(1) + post", {due(12ms)}, {.send = {0}}},
      {"a deadline that cannot be kept",
       {due(12ms - 1ns), due(40ms)},
       {.send = {1}, .hopeless = {0}}},
      {"deadlines in the past, far and near",
       {due(-1ms), due(40ms), due(-500h)},
       {.send = {1}, .hopeless = {0, 2}}},
  };
  for (const auto& [name, queue, want] : cases)
    EXPECT_EQ(decide_batch(queue, {}, at(0ms), kCpu, kTimes, kIdle), want) << name;
}

TEST(DecideBatch, KnowsTheEndsOfTime) {
  Queue queue{due(100ms), due(100ms), due(100ms)};
  queue[0].deadline = TimePoint::max();
  queue[1].deadline = TimePoint::min();
  queue[2].arrived_at = TimePoint::min();
  for (const TimePoint now : {TimePoint::min(), TimePoint(), at(0ms), TimePoint::max()}) {
    for (WaitingFrame& frame : queue) frame.served_until = now;
    queue[2].served_until = TimePoint::max();
    const BatchDecision decision =
        decide_batch(queue, {}, now, kCpu, kTimes, {.free_at = TimePoint::max()});
    EXPECT_FALSE(decision.send.empty() && decision.hopeless.empty());
    const BatchDecision busy = decide_batch(queue, {}, now, kCpu, kTimes,
                                            {.batches_in_flight = 2, .free_at = TimePoint::max()});
    EXPECT_TRUE(busy.send.empty());
  }
}

TEST(DecideBatch, FollowsTheTableWhileTheDeviceIsTaken) {
  const auto busy_until = [](Duration free_at) {
    return DeviceState{.batches_in_flight = 2, .batches_max = 2, .free_at = at(free_at)};
  };
  // p05(1) is 6 ms: a frame is surely lost when free_at + 6 + 2 ms is past its deadline.
  const std::tuple<const char*, Queue, DeviceState, BatchDecision> cases[] = {
      {"nothing leaves; wakes when the first becomes hopeless",
       {due(40ms), due(30ms)},
       kBusy,
       {.wake_at = at(18ms + 1ns)}},
      {"hopeless is hopeless", {due(11ms)}, kBusy, {.hopeless = {0}}},
      {"free soon enough for a fast device",
       {due(40ms)},
       busy_until(32ms),
       {.wake_at = at(28ms + 1ns)}},
      {"surely lost: answered without delay",
       {due(40ms)},
       busy_until(32ms + 1ns),
       {.hopeless = {0}}},
      {"a batch that is overdue promises nothing",
       {due(40ms)},
       busy_until(-5s),
       {.wake_at = at(28ms + 1ns)}},
      {"more in flight than allowed",
       {due(40ms)},
       {.batches_in_flight = 5},
       {.wake_at = at(28ms + 1ns)}},
      {"no slot at all", {due(40ms)}, {.batches_max = 0}, {.wake_at = at(28ms + 1ns)}},
      {"free_at means nothing while a slot is free",
       {due(40ms)},
       {.batches_in_flight = 1, .free_at = at(10s)},
       {.send = {0}}},
  };
  for (const auto& [name, queue, device, want] : cases)
    EXPECT_EQ(decide_batch(queue, {}, at(0ms), kCpu, kTimes, device), want) << name;
}

TEST(DecideBatch, AnIdleDeviceTriesAgain) {
  const Queue queue{due(5ms), due(9ms, 100ms, 4), due(9ms, 100ms, 3), due(-1ms)};
  EXPECT_EQ(decide_batch(queue, {}, at(0ms), kCpu, kTimes, kIdle),
            (BatchDecision{.send = {2}, .hopeless = {0, 1, 3}}))
      << "only a try can show that a device is fast again";
  EXPECT_EQ(decide_batch(queue, {}, at(0ms), kCpu, kTimes, kHalfBusy),
            (BatchDecision{.hopeless = {0, 1, 2, 3}}));
  EXPECT_EQ(decide_batch(Queue{due(1ms)}, {}, at(0ms), kCpu, kTimes, kIdle),
            (BatchDecision{.hopeless = {0}}))
      << "late whatever happens";
}

TEST(DecideBatch, LateButUsefulFramesGetWhatNothingElseWants) {
  const auto useful = [](WaitingFrame frame) {
    frame.is_late_useful = true;
    return frame;
  };
  const std::tuple<const char*, Queue, DeviceState, BatchDecision> cases[] = {
      {"a free slot serves it", {useful(due(5ms))}, kHalfBusy, {.send = {0}}},
      {"even when its deadline has passed", {useful(due(-50ms))}, kIdle, {.send = {0}}},
      {"a frame in time goes first",
       {useful(due(5ms, 1h)), due(100ms, 1ms)},
       kIdle,
       {.send = {1}, .wake_at = std::nullopt}},
      {"with all slots taken it stays", {useful(due(5ms))}, kBusy, {}},
      {"one at a time, the stalest first",
       {useful(due(5ms, 100ms)), useful(due(5ms, 200ms))},
       kHalfBusy,
       {.send = {1}, .wake_at = kAtOnce}},
      {"what is not useful late still leaves",
       {due(5ms), useful(due(5ms))},
       kHalfBusy,
       {.send = {1}, .hopeless = {0}}},
  };
  for (const auto& [name, queue, device, want] : cases)
    EXPECT_EQ(decide_batch(queue, {}, at(0ms), kCpu, kTimes, device), want) << name;
}

TEST(DecideBatch, AModelNothingIsKnownOfIsTried) {
  const std::vector<ServiceTimes> unknown(1);
  EXPECT_EQ(decide_batch(Queue{due(10ms)}, {}, at(0ms), kCpu, unknown, kIdle),
            (BatchDecision{.send = {0}}));
}

TEST(DecideBatch, WaitsForCompanyByTheTable) {
  const Expected soon{{.model = 0, .at = at(3ms)}};
  const std::tuple<const char*, Queue, Expected, BatchDecision> cases[] = {
      {"one early frame waits for company", {due(40ms)}, soon, {.wake_at = at(5ms)}},
      {"nobody will come: leaves at once", {due(40ms)}, {}, {.send = {0}}},
      {"company only after the batch closed",
       {due(40ms)},
       {{.model = 0, .at = at(5ms + 1ns)}},
       {.send = {0}}},
      {"company for another model", {due(40ms)}, {{.model = 1, .at = at(3ms)}}, {.send = {0}}},
      {"company a little overdue may come any moment",
       {due(40ms)},
       {{.model = 0, .at = at(-5ms)}},
       {.wake_at = at(5ms)}},
      {"a camera long overdue is not counted on",
       {due(40ms)},
       {{.model = 0, .at = at(-5ms - 1ns)}},
       {.send = {0}}},
      {"a full batch leaves at once, best first",
       {due(40ms, 100ms), due(40ms, 200ms)},
       soon,
       {.send = {1, 0}}},
      {"more than a batch: the best two",
       {due(40ms, 1ms), due(40ms, 200ms), due(40ms, 300ms)},
       soon,
       {.send = {2, 1}, .wake_at = kAtOnce}},
      {"waits no longer than a full batch stays in time", {due(18ms)}, soon, {.wake_at = at(3ms)}},
      {"last safe moment: leaves alone", {due(15ms)}, soon, {.send = {0}}},
      {"too late for two, in time alone", {due(12ms)}, soon, {.send = {0}}},
      {"a frame sure to be late",
       {due(5ms), due(40ms)},
       soon,
       {.hopeless = {0}, .wake_at = at(5ms)}},
      {"models do not keep each other company",
       {due(40ms), of_model(due(40ms), 1)},
       {{.model = 0, .at = at(3ms)}, {.model = 1, .at = at(3ms)}},
       {.wake_at = at(5ms)}},
  };
  for (const auto& [name, queue, expected, want] : cases)
    EXPECT_EQ(decide_batch(queue, expected, at(0ms), kPairs, kTimes, kIdle), want) << name;
}

TEST(DecideBatch, ComposesBatchesByTheTable) {
  // A batch of 1, 2, 4 keeps deadlines from 12, 14, 18 ms on.
  const std::tuple<const char*, Queue, BatchDecision> cases[] = {
      {"three cost as much as four",
       {due(18ms, 3ms), due(18ms, 2ms), due(18ms, 1ms)},
       {.send = {0, 1, 2}}},
      {"the window stays at the knee: a frame that cannot keep up stays behind",
       {due(40ms, 1ms), due(40ms, 2ms), due(13ms, 1h), due(40ms, 3ms), due(40ms, 4ms)},
       {.send = {4, 3, 1, 0}, .wake_at = kAtOnce}},
      {"a bucket no more than half full gives way to the next smaller one",
       {due(40ms, 9ms), due(40ms, 8ms), due(14ms, 7ms), due(14ms, 6ms), due(14ms, 5ms)},
       {.send = {0, 1}, .wake_at = kAtOnce}},
      {"a critical frame at the head shrinks the batch",
       {due(40ms, 9ms), due(40ms, 8ms), due(40ms, 7ms), with(due(15ms), kCritical)},
       {.send = {3, 0}, .wake_at = kAtOnce}},
      {"urgent frames first while the others can follow",
       {due(40ms, 9ms), due(40ms, 8ms), due(13ms, 7ms)},
       {.send = {2}, .wake_at = kAtOnce}},
      {"but not when that loses one of the others",
       {due(21ms, 9ms), due(21ms, 8ms), due(21ms, 7ms), due(13ms, 6ms)},
       {.send = {0, 1, 2}, .wake_at = kAtOnce}},
      {"nor before a critical frame",
       {with(due(40ms), kCritical), due(40ms, 8ms), due(13ms, 7ms)},
       {.send = {0, 1}, .wake_at = kAtOnce}},
  };
  for (const auto& [name, queue, want] : cases)
    EXPECT_EQ(decide_batch(queue, {}, at(0ms), kFours, kTimes, kIdle), want) << name;
}

TEST(DecideBatch, AModelsOwnKneeCountsForItAlone) {
  constexpr std::array<std::size_t, 2> kKnees{1, 2};
  BatchPolicy policy = kFours;
  policy.knee_of_model = kKnees;
  const auto sent = [&](std::uint32_t model) {
    std::vector<WaitingFrame> queue;
    for (CameraIndex camera = 0; camera < 5; ++camera) {
      queue.push_back(due(60ms, 100ms, camera));
      queue.back().model = model;
    }
    const std::vector<ServiceTimes> times(3, known_times());
    return decide_batch(queue, {}, at(0ms), policy, times, kIdle).send.size();
  };
  EXPECT_EQ(sent(0), 1U);
  EXPECT_EQ(sent(1), 2U);
  EXPECT_EQ(sent(2), 4U);  // has none of its own
}

TEST(DecideBatch, ChoosesAmongModelsByTheTable) {
  const std::tuple<const char*, Queue, BatchDecision> cases[] = {
      {"the model of the best frame",
       {due(100ms, 100ms), of_model(due(100ms, 110ms), 1)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"less slack first where waiting would lose the frame",
       {due(100ms, 150ms), of_model(due(15ms, 100ms), 1)},
       {.send = {1}, .wake_at = kAtOnce}},
      {"not where waiting does no harm",
       {due(100ms, 150ms), of_model(due(50ms, 100ms), 1)},
       {.send = {0}, .wake_at = kAtOnce}},
      {"nor where the others have waited much longer",
       {due(100ms, 400ms), of_model(due(15ms, 100ms), 1)},
       {.send = {0}, .wake_at = kAtOnce}},
      {"critical before urgent",
       {with(due(100ms, 100ms), kCritical), of_model(due(15ms, 100ms), 1)},
       {.send = {0}, .wake_at = kAtOnce}},
      {"a batch is of one model",
       {due(100ms, 3ms), of_model(due(100ms, 2ms), 1), due(100ms, 1ms)},
       {.send = {0, 2}, .wake_at = kAtOnce}},
  };
  for (const auto& [name, queue, want] : cases)
    EXPECT_EQ(decide_batch(queue, {}, at(0ms), kFours, kTimes, kIdle), want) << name;
}

// Properties over random queues. Fixed seeds: a failure repeats.

struct RandomCase {
  Queue queue;
  Expected expected;
  BatchPolicy policy;
  DeviceState device;
};

Duration random_duration(std::mt19937& rng, Duration from, Duration to) {
  return Duration(std::uniform_int_distribution<std::int64_t>(from.count(), to.count())(rng));
}

RandomCase random_case(std::mt19937& rng, std::uint32_t models = 2) {
  const auto below = [&rng](std::uint32_t end) {
    return std::uniform_int_distribution<std::uint32_t>(0, end - 1)(rng);
  };
  RandomCase result;
  const std::uint32_t count = below(14);
  for (CameraIndex camera = 0; camera < count; ++camera) {
    const Duration waited = random_duration(rng, 0ms, 8ms);
    WaitingFrame frame =
        due(random_duration(rng, -5ms, 60ms), random_duration(rng, 0ms, 300ms), camera);
    frame.arrived_at = at(-waited);
    frame.model = below(models);
    frame.priority = static_cast<Priority>(below(3));
    const double needs[] = {0, .3, 1, 1, 1, 5, -1, kNan, kInfinity};
    frame.need = needs[below(9)];
    if (below(20) == 0) frame.served_until = TimePoint::min();
    result.queue.push_back(frame);
  }
  for (std::uint32_t i = below(6); i > 0; --i)
    result.expected.push_back({.model = below(models), .at = at(random_duration(rng, -9ms, 9ms))});
  const std::size_t knees[] = {1, 2, 3, 4, 8, 32, 0, 100};
  result.policy.knee_frames = knees[below(8)];
  result.device = {.batches_in_flight = below(3), .batches_max = 2};
  if (below(2) == 0) result.device.free_at = at(random_duration(rng, -5ms, 40ms));
  return result;
}

constexpr int kRounds = 10'000;

BatchDecision decide(const RandomCase& c, TimePoint now) {
  return decide_batch(c.queue, c.expected, now, c.policy, kTimes, c.device);
}

/// From which deadline on a frame is not hopeless at 0: p95(1) or, if critical, p05(1), and 2 ms.
TimePoint viable_from(const WaitingFrame& frame) {
  return at(frame.priority == kCritical ? 8ms : 12ms);
}

TEST(DecideBatchProperty, SendsOneModelInTimeAndGivesUpOnlyTheLost) {
  std::mt19937 rng(1);
  int sent = 0;
  for (int round = 0; round < kRounds; ++round) {
    const RandomCase c = random_case(rng);
    const BatchDecision decision = decide(c, at(0ms));
    const bool has_slot = c.device.batches_in_flight < c.device.batches_max;
    std::set<std::size_t> seen;
    for (const auto* indices : {&decision.send, &decision.hopeless})
      for (const std::size_t i : *indices) {
        ASSERT_LT(i, c.queue.size()) << round;
        ASSERT_TRUE(seen.insert(i).second) << round << ": frame named twice";
      }
    for (const std::size_t i : decision.hopeless)
      ASSERT_TRUE(!has_slot || c.queue[i].deadline < viable_from(c.queue[i])) << round;
    for (std::size_t i = 0; i < c.queue.size(); ++i)
      ASSERT_TRUE(c.queue[i].deadline >= viable_from(c.queue[i]) || seen.contains(i)) << round;
    if (decision.send.empty()) continue;
    ++sent;
    ASSERT_TRUE(has_slot) << round;
    ASSERT_LE(decision.send.size(), std::clamp<std::size_t>(c.policy.knee_frames, 1, 32)) << round;
    const std::uint32_t model = c.queue[decision.send.front()].model;
    const Duration service = kTimes[model].p95(decision.send.size()) + c.policy.post_time;
    for (const std::size_t i : decision.send) {
      ASSERT_EQ(c.queue[i].model, model) << round;
      const WaitingFrame& frame = c.queue[i];
      const bool is_in_time = frame.deadline >= at(service);
      const bool is_hasty = frame.priority == kCritical && frame.deadline >= viable_from(frame);
      const bool is_try = c.device.batches_in_flight == 0 && frame.deadline < viable_from(frame);
      ASSERT_TRUE(is_in_time || (decision.send.size() == 1 && (is_hasty || is_try))) << round;
    }
  }
  EXPECT_GT(sent, kRounds / 4) << "the cases must exercise the property";
}

TEST(DecideBatchProperty, WakingUpSendsOrDrops) {
  std::mt19937 rng(2);
  int woken = 0;
  for (int round = 0; round < kRounds; ++round) {
    RandomCase c = random_case(rng);
    const BatchDecision decision = decide(c, at(0ms));
    const std::size_t gone = decision.send.size() + decision.hopeless.size();
    ASSERT_EQ(decision.wake_at.has_value(), gone < c.queue.size()) << round << ": someone waits";
    if (!decision.wake_at) continue;
    // Waking at once without having sent would ask for ever.
    ASSERT_EQ(*decision.wake_at > at(0ms), decision.send.empty()) << round;
    Queue left;
    for (std::size_t i = 0; i < c.queue.size(); ++i)
      if (std::ranges::count(decision.send, i) + std::ranges::count(decision.hopeless, i) == 0)
        left.push_back(c.queue[i]);
    c.queue = left;
    if (decision.send.empty()) {
      c.device.batches_in_flight = 1;  // a slot is free by then
      const BatchDecision next = decide(c, *decision.wake_at);
      ASSERT_GT(next.send.size() + next.hopeless.size(), 0U) << round;
      ++woken;
    }
  }
  EXPECT_GT(woken, kRounds / 10);
}

TEST(DecideBatchProperty, AKneeOfOneNeverWaits) {
  std::mt19937 rng(3);
  for (int round = 0; round < kRounds; ++round) {
    RandomCase c = random_case(rng);
    c.policy.knee_frames = 1;
    c.device.batches_in_flight = 0;
    const BatchDecision decision = decide(c, at(0ms));
    const bool is_any_possible = std::ranges::any_of(
        c.queue, [](const WaitingFrame& frame) { return frame.deadline >= at(2ms); });
    ASSERT_EQ(decision.send.size(), is_any_possible ? 1U : 0U) << round;
  }
}

TEST(DecideBatchProperty, CriticalGoesFirst) {
  std::mt19937 rng(4);
  for (int round = 0; round < kRounds; ++round) {
    RandomCase c = random_case(rng);
    c.expected.clear();  // every batch is due
    c.device.batches_in_flight = 1;
    const BatchDecision decision = decide(c, at(0ms));
    const bool has_critical = std::ranges::any_of(c.queue, [](const WaitingFrame& frame) {
      return frame.priority == kCritical && frame.deadline >= at(12ms);
    });
    if (!has_critical) continue;
    ASSERT_FALSE(decision.send.empty()) << round;
    ASSERT_EQ(c.queue[decision.send.front()].priority, kCritical) << round;
  }
}

TEST(DecideBatchProperty, TheOrderOfTheQueueDoesNotMatter) {
  std::mt19937 rng(5);
  const auto cameras = [](const Queue& queue, const std::vector<std::size_t>& indices) {
    std::vector<CameraIndex> result;
    for (const std::size_t i : indices) result.push_back(queue[i].camera);
    return result;
  };
  for (int round = 0; round < kRounds; ++round) {
    RandomCase c = random_case(rng);
    const Queue before = c.queue;
    const BatchDecision a = decide(c, at(0ms));
    std::ranges::shuffle(c.queue, rng);
    const BatchDecision b = decide(c, at(0ms));
    ASSERT_EQ(cameras(before, a.send), cameras(c.queue, b.send)) << round;
    ASSERT_EQ(a.wake_at, b.wake_at) << round;
    auto given_up_a = cameras(before, a.hopeless);
    auto given_up_b = cameras(c.queue, b.hopeless);
    std::ranges::sort(given_up_a);
    std::ranges::sort(given_up_b);
    ASSERT_EQ(given_up_a, given_up_b) << round;
  }
}

TEST(DecideBatchProperty, ReusedMemoryChangesNothing) {
  std::mt19937 rng(6);
  BatchScratch scratch;
  BatchDecision decision;
  for (int round = 0; round < kRounds; ++round) {
    const RandomCase c = random_case(rng);
    decide_batch(c.queue, c.expected, at(0ms), c.policy, kTimes, c.device, scratch, decision);
    ASSERT_EQ(decision, decide(c, at(0ms))) << round;
  }
}

/// The batch by its definition, over all subsets: among those in time at their own size, the
/// largest; among these the one whose frames come first in the order of service. A critical lead
/// must be in it, and is alone where even that is in time with luck only.
std::vector<std::size_t> best_batch_slowly(const Queue& queue, std::size_t knee,
                                           Duration post_time) {
  // arrived_at = deadline in these queues, so freshness plays no part here.
  const auto score = [&](std::size_t i) {
    return priority_weight(queue[i].priority) * to_seconds(at(0ms) - queue[i].served_until);
  };
  const auto is_critical = [&](std::size_t i) { return queue[i].priority == kCritical; };
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < queue.size(); ++i)
    if (queue[i].deadline >= viable_from(queue[i])) order.push_back(i);
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    return std::tuple(is_critical(a), score(a)) > std::tuple(is_critical(b), score(b));
  });
  const bool is_hasty =
      !order.empty() && queue[order[0]].deadline < at(kTimes[0].p95(1) + post_time);
  if (is_hasty && is_critical(order[0])) return {order[0]};
  std::vector<std::size_t> best;  // places in `order`, ascending
  for (unsigned subset = 1; subset < 1U << order.size(); ++subset) {
    const auto size = static_cast<std::size_t>(std::popcount(subset));
    if (size > knee || size < best.size()) continue;
    if (is_critical(order[0]) && (subset & 1U) == 0) continue;
    std::vector<std::size_t> places;
    bool is_in_time = true;
    for (std::size_t place = 0; place < order.size(); ++place) {
      if ((subset >> place & 1U) == 0) continue;
      places.push_back(place);
      is_in_time =
          is_in_time && queue[order[place]].deadline >= at(kTimes[0].p95(size) + post_time);
    }
    if (is_in_time && (size > best.size() || places < best)) best = places;
  }
  for (std::size_t& place : best) place = order[place];
  return best;
}

TEST(DecideBatchProperty, ComposesTheBatchOfTheSlowReference) {
  std::mt19937 rng(7);
  int urgent_first = 0;
  for (int round = 0; round < kRounds; ++round) {
    RandomCase c = random_case(rng, 1);
    c.queue.resize(std::min<std::size_t>(c.queue.size(), 8));
    c.expected.clear();
    c.device = kHalfBusy;
    c.policy.knee_frames = std::size_t{1} << std::uniform_int_distribution<unsigned>(0, 3)(rng);
    for (WaitingFrame& frame : c.queue) {
      frame.need = 1;
      frame.deadline = at(random_duration(rng, 5ms, 40ms));
      frame.arrived_at = frame.deadline;
      if (frame.served_until == TimePoint::min()) frame.served_until = at(-1s);
    }
    const BatchDecision decision = decide(c, at(0ms));
    const std::vector<std::size_t> want =
        best_batch_slowly(c.queue, c.policy.knee_frames, c.policy.post_time);
    if (decision.send == want) continue;
    // The one exception: urgent frames went first, and then nobody may be lost.
    ++urgent_first;
    ASSERT_LT(decision.send.size(), want.size()) << round;
    ASSERT_LE(c.queue.size() - decision.hopeless.size(), c.policy.knee_frames) << round;
    const std::size_t others = c.queue.size() - decision.hopeless.size() - decision.send.size();
    const Duration after =
        kTimes[0].p95(decision.send.size()) + kTimes[0].p95(others) + c.policy.post_time;
    for (std::size_t i = 0; i < c.queue.size(); ++i) {
      if (std::ranges::count(decision.hopeless, i) > 0) continue;
      const bool is_sent = std::ranges::count(decision.send, i) > 0;
      ASSERT_GE(c.queue[i].deadline,
                is_sent ? at(kTimes[0].p95(decision.send.size()) + c.policy.post_time) : at(after))
          << round;
    }
  }
  EXPECT_GT(urgent_first, 10);
  EXPECT_LT(urgent_first, kRounds / 10);
}

}  // namespace
}  // namespace framemill
