// Proves the bars of scheduling in a small discrete-event world: periodic cameras with phases and
// jitter, mailboxes of one frame (the newest), one device with log-normal service times, late
// timers. The world uses the policy as the engine does: it asks at each arrival, completion and
// timer, and learns service times online. Time is a number here; nothing sleeps.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "framemill/sched/batch_policy.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

struct CameraSpec {
  Duration period = 100ms;
  Duration slo = 200ms;
  Priority priority = Priority::kNormal;
  std::uint32_t model = 0;
};

/// A batch of `bucket` frames takes (fixed + per_frame x bucket) x noise.
struct ModelCost {
  Duration fixed{0};
  Duration per_frame = 30ms;
};

struct World {
  std::vector<CameraSpec> cameras;
  std::vector<ModelCost> models{ModelCost{}};
  BatchPolicy policy;
  std::size_t batches_max = 2;
  bool is_serial = false;  ///< a GPU: the second batch in flight waits for the first
  double noise_sigma = 0.1;
  Duration jitter = 5ms;  ///< arrivals come up to so much later than the period says
  Duration timer_slip = 1ms;
  Duration length = 30s;
  double phase_spread = 1;               ///< 0: all cameras in step
  Duration slow_from = Duration::max();  ///< batches started in [slow_from, slow_until) take longer
  Duration slow_until = Duration::max();
  double slowdown = 1.25;
  std::uint32_t seed = 1;
};

struct Inference {
  CameraIndex camera = 0;
  TimePoint completed_at;
  Duration latency{0};
  bool is_on_time = false;
};

struct Outcome {
  std::vector<Inference> inferences;
  std::vector<std::size_t> arrived;  ///< per camera
  std::size_t superseded = 0;
  std::size_t hopeless = 0;
  std::size_t left = 0;  ///< in mailboxes or in flight at the end
  std::size_t asked = 0;
};

constexpr TimePoint kStart{};

class Simulation {
 public:
  explicit Simulation(const World& world)
      : world_(world),
        rng_(world.seed),
        cameras_(world.cameras.size()),
        times_(world.models.size()) {
    outcome_.arrived.resize(cameras_.size());
    for (std::size_t m = 0; m < world.models.size(); ++m)
      for (const std::size_t bucket : kBatchBuckets)
        times_[m].seed(bucket, mean_service(static_cast<std::uint32_t>(m), bucket));
  }

  Outcome run() {
    for (CameraIndex c = 0; c < cameras_.size(); ++c) {
      const Duration phase =
          from_seconds(world_.phase_spread * uniform() * to_seconds(world_.cameras[c].period));
      cameras_[c].next_nominal = kStart + phase;
      cameras_[c].expected_at = cameras_[c].next_nominal;
      push({cameras_[c].next_nominal + jitter(), Event::Kind::kArrival, c});
    }
    while (!events_.empty() && events_.top().at < kStart + world_.length) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      if (event.kind == Event::Kind::kArrival) arrive(static_cast<CameraIndex>(event.index));
      if (event.kind == Event::Kind::kCompletion) complete(event.index);
      // A timer that was set anew since does nothing by itself.
      if (event.kind == Event::Kind::kTimer && event.index != timer_) continue;
      ask();
    }
    for (const Camera& camera : cameras_)
      outcome_.left += (camera.mailbox ? 1U : 0U) + (camera.is_in_flight ? 1U : 0U);
    return outcome_;
  }

 private:
  struct Event {
    enum class Kind { kArrival, kCompletion, kTimer };
    TimePoint at;
    Kind kind = Kind::kArrival;
    std::size_t index = 0;
    friend bool operator>(const Event& a, const Event& b) { return a.at > b.at; }
  };
  struct Frame {
    TimePoint captured_at;
    TimePoint deadline;
  };
  struct Camera {
    TimePoint next_nominal;
    TimePoint expected_at;
    std::optional<Frame> mailbox;
    bool is_in_flight = false;
    std::optional<TimePoint> served_until;
  };
  struct Batch {
    std::uint32_t model = 0;
    TimePoint started_at;
    std::vector<std::pair<CameraIndex, Frame>> frames;
    bool is_done = false;
  };

  double uniform() { return std::uniform_real_distribution<double>(0, 1)(rng_); }
  Duration jitter() { return from_seconds(uniform() * to_seconds(world_.jitter)); }
  void push(const Event& event) { events_.push(event); }

  Duration mean_service(std::uint32_t model, std::size_t bucket) const {
    return world_.models[model].fixed +
           world_.models[model].per_frame * static_cast<std::int64_t>(bucket);
  }

  void arrive(CameraIndex index) {
    Camera& camera = cameras_[index];
    const CameraSpec& spec = world_.cameras[index];
    ++outcome_.arrived[index];
    if (camera.mailbox) ++outcome_.superseded;
    camera.mailbox = Frame{now_, now_ + spec.slo};
    if (!camera.served_until) camera.served_until = now_;
    camera.next_nominal += spec.period;
    camera.expected_at = now_ + spec.period;
    push({camera.next_nominal + jitter(), Event::Kind::kArrival, index});
  }

  void complete(std::size_t index) {
    Batch& batch = batches_[index];
    batch.is_done = true;
    std::erase(in_flight_, index);
    times_[batch.model].record(batch.frames.size(), now_ - batch.started_at);
    for (const auto& [camera, frame] : batch.frames) {
      cameras_[camera].is_in_flight = false;
      const TimePoint answered_at = now_ + world_.policy.post_time;
      outcome_.inferences.push_back(
          {camera, now_, answered_at - frame.captured_at, answered_at <= frame.deadline});
    }
    batch.frames.clear();
  }

  void ask() {
    while (true) {
      waiting_.clear();
      expected_.clear();
      for (CameraIndex c = 0; c < cameras_.size(); ++c) {
        const Camera& camera = cameras_[c];
        const CameraSpec& spec = world_.cameras[c];
        if (camera.is_in_flight) continue;  // at most one a camera: answers stay in order
        if (camera.mailbox) {
          waiting_.push_back({.camera = c,
                              .model = spec.model,
                              .priority = spec.priority,
                              .arrived_at = camera.mailbox->captured_at,
                              .deadline = camera.mailbox->deadline,
                              .served_until = *camera.served_until});
        } else {
          expected_.push_back({.model = spec.model, .at = camera.expected_at});
        }
      }
      DeviceState device{.batches_in_flight = in_flight_.size(), .batches_max = world_.batches_max};
      if (!in_flight_.empty()) {
        const Batch& oldest = batches_[in_flight_.front()];
        device.free_at =
            oldest.started_at + times_[oldest.model].mean(bucket_for(oldest.frames.size()));
      }
      decide_batch(waiting_, expected_, now_, world_.policy, times_, device, scratch_, decision_);
      ++outcome_.asked;
      for (const std::size_t i : decision_.hopeless) {
        cameras_[waiting_[i].camera].mailbox.reset();
        ++outcome_.hopeless;
      }
      if (decision_.send.empty()) break;
      send();
    }
    ++timer_;
    if (!decision_.wake_at) return;
    ASSERT_GT(*decision_.wake_at, now_);
    const Duration slip = from_seconds(uniform() * to_seconds(world_.timer_slip));
    push({*decision_.wake_at + slip, Event::Kind::kTimer, timer_});
  }

  void send() {
    ASSERT_LT(in_flight_.size(), world_.batches_max);
    const std::uint32_t model = waiting_[decision_.send.front()].model;
    Batch batch{.model = model, .started_at = now_};
    for (const std::size_t i : decision_.send) {
      Camera& camera = cameras_[waiting_[i].camera];
      ASSERT_EQ(waiting_[i].model, model);
      ASSERT_TRUE(camera.mailbox && !camera.is_in_flight);
      batch.frames.emplace_back(waiting_[i].camera, *camera.mailbox);
      camera.served_until = camera.mailbox->captured_at;
      camera.is_in_flight = true;
      camera.mailbox.reset();
    }
    const double sigma = world_.noise_sigma;
    const double noise = std::lognormal_distribution<double>(-sigma * sigma / 2, sigma)(rng_);
    const TimePoint start = world_.is_serial ? std::max(now_, serial_free_at_) : now_;
    const bool is_slow = now_ >= TimePoint(world_.slow_from) && now_ < TimePoint(world_.slow_until);
    const double service = to_seconds(mean_service(model, bucket_for(batch.frames.size()))) *
                           noise * (is_slow ? world_.slowdown : 1.0);
    serial_free_at_ = start + from_seconds(service);
    in_flight_.push_back(batches_.size());
    push({serial_free_at_, Event::Kind::kCompletion, batches_.size()});
    batches_.push_back(std::move(batch));
  }

  const World& world_;
  std::mt19937 rng_;
  std::vector<Camera> cameras_;
  std::vector<ServiceTimes> times_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<Batch> batches_;
  std::vector<std::size_t> in_flight_;  // oldest first
  TimePoint now_;
  TimePoint serial_free_at_;
  std::size_t timer_ = 0;
  std::vector<WaitingFrame> waiting_;
  std::vector<ExpectedArrival> expected_;
  BatchScratch scratch_;
  BatchDecision decision_;
  Outcome outcome_;
};

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

/// On-time answers a second that complete in [from, until).
double goodput_fps(const Outcome& outcome, Duration from, Duration until) {
  const auto count = std::ranges::count_if(outcome.inferences, [&](const Inference& inference) {
    return inference.is_on_time && inference.completed_at >= kStart + from &&
           inference.completed_at < kStart + until;
  });
  return static_cast<double>(count) / to_seconds(until - from);
}

double latency_p50_ms(const Outcome& outcome) {
  std::vector<double> latencies;
  for (const Inference& inference : outcome.inferences)
    latencies.push_back(to_ms(inference.latency));
  return percentile(std::move(latencies), .5);
}

/// Gap between the inferences of a camera over that camera's mean gap, at p99.9 over all cameras; a
/// camera which got none at all is infinitely late.
double gap_ratio_p999(const Outcome& outcome, std::size_t cameras) {
  std::vector<std::vector<double>> gaps(cameras);
  std::vector<std::optional<TimePoint>> last(cameras);
  for (const Inference& inference : outcome.inferences) {
    if (last[inference.camera])
      gaps[inference.camera].push_back(to_ms(inference.completed_at - *last[inference.camera]));
    last[inference.camera] = inference.completed_at;
  }
  std::vector<double> ratios;
  for (const std::vector<double>& own : gaps) {
    if (own.empty()) return std::numeric_limits<double>::infinity();
    const double mean =
        std::accumulate(own.begin(), own.end(), 0.0) / static_cast<double>(own.size());
    for (const double gap : own) ratios.push_back(gap / mean);
  }
  return percentile(std::move(ratios), .999);
}

/// A CPU: two parallel requests, 30 ms each: 66.7 frames a second.
World cpu_world(std::size_t cameras) {
  World world;
  world.cameras.resize(cameras);
  return world;
}
constexpr double kCpuFps = 2 / .030;

/// A GPU: 6 ms + 1 ms a frame, batches one after the other, knee 8: 571 frames a second.
World gpu_world(std::size_t cameras) {
  World world;
  world.cameras.resize(cameras);
  world.models = {{.fixed = 6ms, .per_frame = 1ms}};
  world.policy.knee_frames = 8;
  world.is_serial = true;
  world.length = 6s;
  return world;
}
constexpr double kGpuFps = 8 / .014;

std::size_t sum(const std::vector<std::size_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::size_t{0});
}

/// Runs the world; every frame that came in must have ended in exactly one way.
Outcome simulate(const World& world) {
  const Outcome outcome = Simulation(world).run();
  EXPECT_EQ(sum(outcome.arrived),
            outcome.inferences.size() + outcome.superseded + outcome.hopeless + outcome.left);
  return outcome;
}

/// On-time inferences of the cameras for which `wanted(index)` over the frames they sent.
template <typename Predicate>
double on_time_share(const Outcome& outcome, Predicate wanted) {
  std::size_t arrived = 0;
  for (std::size_t c = 0; c < outcome.arrived.size(); ++c)
    if (wanted(c)) arrived += outcome.arrived[c];
  const auto on_time = std::ranges::count_if(outcome.inferences, [&](const Inference& inference) {
    return inference.is_on_time && wanted(inference.camera);
  });
  return static_cast<double>(on_time) / static_cast<double>(arrived);
}

double inferences_per_camera(const Outcome& outcome, std::size_t first, std::size_t end) {
  const auto count = std::ranges::count_if(outcome.inferences, [&](const Inference& inference) {
    return inference.camera >= first && inference.camera < end;
  });
  return static_cast<double>(count) / static_cast<double>(end - first);
}

struct Case {
  std::string name;
  World world;
  double capacity_fps = 0;
};

/// CPU and GPU at `load` times their capacity, with and without phases, calm and noisy. Cameras in
/// step need an slo above their period (100 ms): otherwise nothing can be served in time at its
/// end, such as 3 rounds of 2 x 30 ms in 100 ms, 60 of 66.7 frames a second, which no policy can
/// change.
std::vector<Case> overloaded(double load, Duration slo) {
  struct Variant {
    bool is_gpu;
    double phase_spread;
    double noise_sigma;
  };
  constexpr Variant kVariants[] = {{false, 1, .05}, {false, 1, .25}, {false, 0, .05},
                                   {false, 0, .25}, {true, 1, .25},  {true, 0, .05}};
  std::vector<Case> cases;
  for (const auto& [is_gpu, phase_spread, noise_sigma] : kVariants) {
    if (phase_spread == 0 && slo <= CameraSpec{}.period) continue;
    const double capacity_fps = is_gpu ? kGpuFps : kCpuFps;
    const auto count = static_cast<std::size_t>(std::lround(load * capacity_fps / 10));
    World world = is_gpu ? gpu_world(count) : cpu_world(count);
    for (CameraSpec& camera : world.cameras) camera.slo = slo;
    world.phase_spread = phase_spread;
    world.noise_sigma = noise_sigma;
    cases.push_back({fmt::format("{} load {} slo {} ms phases {} noise {}", is_gpu ? "gpu" : "cpu",
                                 load, to_ms(slo), phase_spread, noise_sigma),
                     std::move(world), capacity_fps});
  }
  return cases;
}

TEST(SchedSimulation, TwofoldOverloadKeepsGoodputAndLatency) {
  for (const Duration slo : {100ms, 200ms}) {
    for (const auto& [name, world, capacity] : overloaded(2, slo)) {
      const Outcome outcome = simulate(world);
      EXPECT_GE(goodput_fps(outcome, 1s, world.length), .96 * capacity) << name;
      EXPECT_LE(latency_p50_ms(outcome), .55 * to_ms(slo)) << name;
      EXPECT_LE(gap_ratio_p999(outcome, world.cameras.size()), 3) << name;
    }
  }
}

TEST(SchedSimulation, GapsOfACameraStayBelowThreeTimesTheirMean) {
  for (const double load : {1.2, 3.0})
    for (const auto& [name, world, capacity] : overloaded(load, 200ms))
      EXPECT_LE(gap_ratio_p999(simulate(world), world.cameras.size()), 3) << name;
}

TEST(SchedSimulation, NearlyEveryFrameIsInTimeBelowCapacity) {
  for (const auto& [name, world, capacity] : overloaded(.8, 200ms)) {
    const Outcome outcome = simulate(world);
    const auto late = std::ranges::count(outcome.inferences, false, &Inference::is_on_time);
    const std::size_t lost = outcome.superseded + outcome.hopeless + static_cast<std::size_t>(late);
    EXPECT_LE(static_cast<double>(lost), .005 * static_cast<double>(sum(outcome.arrived))) << name;
  }
}

TEST(SchedSimulation, CriticalCamerasStayInTimeAtTwofoldOverload) {
  for (const Duration slo : {100ms, 200ms}) {
    for (auto& [name, world, capacity] : overloaded(2, slo)) {
      const auto is_critical = [](std::size_t camera) { return camera % 7 == 0; };
      for (std::size_t c = 0; c < world.cameras.size(); ++c)
        if (is_critical(c)) world.cameras[c].priority = Priority::kCritical;
      const Outcome outcome = simulate(world);
      EXPECT_GE(on_time_share(outcome, is_critical), .99) << name;
      EXPECT_GE(goodput_fps(outcome, 1s, world.length), .96 * capacity) << name;
    }
  }
}

TEST(SchedSimulation, BackgroundGetsItsShareAndIsNotStarved) {
  for (auto& [name, world, capacity] : overloaded(3, 200ms)) {
    const std::size_t half = world.cameras.size() / 2;
    for (std::size_t c = half; c < world.cameras.size(); ++c)
      world.cameras[c].priority = Priority::kBackground;
    const Outcome outcome = simulate(world);
    const double normal = inferences_per_camera(outcome, 0, half);
    const double background = inferences_per_camera(outcome, half, world.cameras.size());
    EXPECT_GE(background, normal / 5) << name << ": weights are 4 to 1";
    EXPECT_LE(background, normal / 2) << name;
    EXPECT_LE(gap_ratio_p999(outcome, world.cameras.size()), 3) << name;
  }
}

TEST(SchedSimulation, GoodputIsBackWithinASecondOfASlowdown) {
  std::vector<Case> cases = overloaded(2, 100ms);
  std::ranges::move(overloaded(2, 200ms), std::back_inserter(cases));
  for (auto& [name, world, capacity] : cases) {
    world.slow_from = 2s;
    world.length = 5s;
    const int seeds = world.is_serial ? 1 : 6;  // two seconds of a CPU are only a hundred frames
    double goodput = 0;
    for (int seed = 1; seed <= seeds; ++seed) {
      world.seed = static_cast<std::uint32_t>(seed);
      goodput += goodput_fps(simulate(world), 3s, 5s) / seeds;
    }
    EXPECT_GE(goodput, .96 * capacity / world.slowdown) << name;
  }
}

TEST(SchedSimulation, RecoversFromAStallThatMadeEveryEstimateHopeless) {
  for (auto& [name, world, capacity] : overloaded(2, 100ms)) {
    world.slow_from = 1s;
    world.slow_until = 2s;
    world.slowdown = 20;
    world.length = 10s;
    EXPECT_GE(goodput_fps(simulate(world), 4s, 10s), .96 * capacity) << name;
  }
}

TEST(SchedSimulation, AShortSloDoesNotStarveTheOtherModel) {
  World world = gpu_world(100);  // 2 x 50 cameras at 20/s: 3.5x overload
  world.models.push_back(world.models.front());
  for (std::size_t c = 0; c < world.cameras.size(); ++c) {
    world.cameras[c] = {.period = 50ms, .slo = c < 50 ? 80ms : 500ms, .model = c < 50 ? 0U : 1U};
  }
  const Outcome outcome = simulate(world);
  const double tight = inferences_per_camera(outcome, 0, 50);
  const double loose = inferences_per_camera(outcome, 50, 100);
  EXPECT_LE(tight, 2 * loose);
  EXPECT_LE(loose, 2 * tight);
  EXPECT_LE(gap_ratio_p999(outcome, world.cameras.size()), 3);
  EXPECT_GE(goodput_fps(outcome, 1s, world.length), .96 * kGpuFps);
}

TEST(SchedSimulation, SameSeedSameOutcome) {
  const World world = cpu_world(13);
  const Outcome a = simulate(world);
  const Outcome b = simulate(world);
  ASSERT_EQ(a.inferences.size(), b.inferences.size());
  for (std::size_t i = 0; i < a.inferences.size(); ++i) {
    EXPECT_EQ(a.inferences[i].camera, b.inferences[i].camera);
    EXPECT_EQ(a.inferences[i].completed_at, b.inferences[i].completed_at);
  }
}

}  // namespace
}  // namespace framemill
