// Proves the bars of scheduling in the simulator: periodic cameras with phases and jitter,
// mailboxes of one frame (the newest), one device with log-normal service times, late timers. The
// decisions are those of the engine (LiveDispatch), which learns service times online. Nothing
// sleeps.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "framemill/plan/simulated_device.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

constexpr double kCpuFps = 2 / .030;
constexpr double kGpuFps = 8 / .014;
constexpr Duration kPeriod = 100ms;
/// From the end of a batch to the answers, which the simulator leaves out.
constexpr Duration kPostTime = BatchPolicy{}.post_time;

/// Log-normal about `mean_s`: its median is below, as that of service times is.
LatencyDistribution log_normal(double mean_s, double sigma) {
  // The normal distribution's quantiles by bisection of its distribution function.
  const auto quantile = [](double share) {
    double low = -6;
    double high = 6;
    for (int i = 0; i < 60; ++i) {
      const double middle = (low + high) / 2;
      (.5 * std::erfc(-middle / std::sqrt(2.0)) < share ? low : high) = middle;
    }
    return low;
  };
  LatencyDistribution distribution;
  for (int i = 0; i <= 100; ++i) {
    const double share = std::clamp(i / 100.0, .001, .999);
    distribution.percentiles.push_back(
        from_seconds(mean_s * std::exp(sigma * quantile(share) - sigma * sigma / 2)));
  }
  return distribution;
}

/// A CPU: two parallel requests of 30 ms each, 66.7 frames a second.
ServiceDraws cpu_draws(double sigma) {
  DeviceProfile profile{.device = "CPU", .model = "m", .precision = "int8"};
  profile.run_streams = 2;
  for (const std::size_t streams : {1U, 2U}) {
    profile.points.push_back({.batch = 1, .streams = streams, .service = log_normal(.030, sigma)});
  }
  return *ServiceDraws::create(profile, 0);
}

/// A GPU: 6 ms + 1 ms a frame, one batch after the other, knee 8: 571 frames a second.
ServiceDraws gpu_draws(double sigma) {
  DeviceProfile profile{.device = "GPU", .model = "m", .precision = "fp16"};
  profile.run_streams = 2;
  profile.knee_batch = 8;
  for (const std::size_t batch : {1U, 2U, 4U, 8U}) {
    for (const std::size_t streams : {1U, 2U}) {
      const double seconds = .006 + .001 * static_cast<double>(batch);
      profile.points.push_back(
          {.batch = batch, .streams = streams, .service = log_normal(seconds, sigma)});
    }
  }
  return *ServiceDraws::create(profile, 0);
}

struct Case {
  std::string name;
  SimulatedDevice device;
  double capacity_fps = 0;
};

/// CPU and GPU at `load` times their capacity, with and without phases, calm and noisy. Cameras in
/// step need an slo above their period (100 ms): otherwise nothing can be served in time at its
/// end, such as 3 rounds of 2 x 30 ms in 100 ms, 60 of 66.7 frames a second, which no policy can
/// change.
std::vector<Case> at_load(double load, Duration slo) {
  struct Variant {
    bool is_gpu;
    double phase_spread;
    double sigma;
  };
  constexpr Variant kVariants[] = {{false, 1, .05}, {false, 1, .25}, {false, 0, .05},
                                   {false, 0, .25}, {true, 1, .25},  {true, 0, .05}};
  std::vector<Case> cases;
  for (const auto& [is_gpu, phase_spread, sigma] : kVariants) {
    if (phase_spread == 0 && slo <= kPeriod) continue;
    const double capacity_fps = is_gpu ? kGpuFps : kCpuFps;
    const auto count = static_cast<std::size_t>(std::lround(load * capacity_fps / 10));
    SimulatedDevice device;
    device.lanes = {is_gpu ? gpu_draws(sigma) : cpu_draws(sigma)};
    device.is_serial = is_gpu;
    device.phase_spread = phase_spread;
    device.length = is_gpu ? 6s : 30s;
    device.cameras.resize(count);
    for (SimulatedCamera& camera : device.cameras) {
      camera.dispatch = {PolicyKind::kFull, Priority::kNormal, slo, kPeriod, 0};
    }
    cases.push_back({fmt::format("{} load {} slo {} ms phases {} noise {}", is_gpu ? "gpu" : "cpu",
                                 load, to_ms(slo), phase_spread, sigma),
                     std::move(device), capacity_fps});
  }
  return cases;
}

/// Runs the world; every frame that came in must have ended in exactly one way.
DeviceFigures run(const SimulatedDevice& device) {
  const DeviceFigures figures = simulate_device(device);
  for (const ClassFigures& of_class : figures.classes) {
    EXPECT_EQ(of_class.sampled, of_class.outcomes());
  }
  return figures;
}

const ClassFigures& of(const DeviceFigures& figures, Priority priority) {
  return figures.classes[static_cast<std::size_t>(priority)];
}

/// On-time inferences a second that complete in [from, until), whole seconds.
double goodput_fps(const DeviceFigures& figures, Duration from, Duration until) {
  std::int64_t sum = 0;
  for (const ClassFigures& of_class : figures.classes) {
    for (auto second = from / 1s; second < until / 1s; ++second) {
      sum += of_class.inferred_by_second[static_cast<std::size_t>(second)];
    }
  }
  return static_cast<double>(sum) / to_seconds(until - from);
}

/// Gap between inferences in time of a camera over the mean of its class, at p99.9; a class in
/// which a camera got none at all is infinitely late.
double gap_ratio_p999(const ClassFigures& figures) {
  // The first inference of a camera ends no gap.
  const std::int64_t served =
      figures.inferred_on_time - static_cast<std::int64_t>(figures.gap_periods.count());
  if (served < figures.cameras) return std::numeric_limits<double>::infinity();
  const double mean =
      to_seconds(figures.gap_periods.sum()) / static_cast<double>(figures.gap_periods.count());
  return to_seconds(figures.gap_periods.percentile(.999)) / mean;
}

double inferred_per_camera(const ClassFigures& figures) {
  return static_cast<double>(figures.inferred) / static_cast<double>(figures.cameras);
}

TEST(SchedulingBars, TwofoldOverloadKeepsGoodputAndLatency) {
  for (const Duration slo : {100ms, 200ms}) {
    for (const auto& [name, device, capacity] : at_load(2, slo)) {
      const DeviceFigures figures = run(device);
      const ClassFigures& normal = of(figures, Priority::kNormal);
      EXPECT_GE(goodput_fps(figures, 1s, device.length), .96 * capacity) << name;
      const Duration p50 = normal.inferred_latency.percentile(.5) + kPostTime;
      EXPECT_LE(to_ms(p50), .55 * to_ms(slo)) << name;
      EXPECT_LE(gap_ratio_p999(normal), 3) << name;
    }
  }
}

TEST(SchedulingBars, GapsOfACameraStayBelowThreeTimesTheirMean) {
  for (const double load : {1.2, 3.0}) {
    for (const auto& [name, device, capacity] : at_load(load, 200ms)) {
      EXPECT_LE(gap_ratio_p999(of(run(device), Priority::kNormal)), 3) << name;
    }
  }
}

TEST(SchedulingBars, NearlyEveryFrameIsInTimeBelowCapacity) {
  for (const auto& [name, device, capacity] : at_load(.8, 200ms)) {
    const DeviceFigures figures = run(device);
    const ClassFigures& normal = of(figures, Priority::kNormal);
    const std::int64_t lost = normal.superseded + normal.late + normal.failed + normal.not_on_time;
    EXPECT_LE(static_cast<double>(lost), .005 * static_cast<double>(normal.sampled)) << name;
  }
}

TEST(SchedulingBars, CriticalCamerasStayInTimeAtTwofoldOverload) {
  for (const Duration slo : {100ms, 200ms}) {
    for (auto& [name, device, capacity] : at_load(2, slo)) {
      for (std::size_t i = 0; i < device.cameras.size(); i += 7) {
        device.cameras[i].dispatch.priority = Priority::kCritical;
      }
      const DeviceFigures figures = run(device);
      const ClassFigures& critical = of(figures, Priority::kCritical);
      EXPECT_GE(static_cast<double>(critical.inferred_on_time),
                .99 * static_cast<double>(critical.sampled - critical.in_flight))
          << name;
      EXPECT_GE(goodput_fps(figures, 1s, device.length), .96 * capacity) << name;
    }
  }
}

TEST(SchedulingBars, BackgroundGetsItsShareAndIsNotStarved) {
  for (auto& [name, device, capacity] : at_load(3, 200ms)) {
    for (std::size_t i = device.cameras.size() / 2; i < device.cameras.size(); ++i) {
      device.cameras[i].dispatch.priority = Priority::kBackground;
    }
    const DeviceFigures figures = run(device);
    const double normal = inferred_per_camera(of(figures, Priority::kNormal));
    const double background = inferred_per_camera(of(figures, Priority::kBackground));
    EXPECT_GE(background, normal / 5) << name << ": weights are 4 to 1";
    EXPECT_LE(background, normal / 2) << name;
    EXPECT_LE(gap_ratio_p999(of(figures, Priority::kNormal)), 3) << name;
    EXPECT_LE(gap_ratio_p999(of(figures, Priority::kBackground)), 3) << name;
  }
}

TEST(SchedulingBars, GoodputIsBackWithinASecondOfASlowdown) {
  std::vector<Case> cases = at_load(2, 100ms);
  std::ranges::move(at_load(2, 200ms), std::back_inserter(cases));
  for (auto& [name, device, capacity] : cases) {
    device.speed = {{2s, 1 / 1.25}};
    device.length = 5s;
    const int seeds = device.is_serial ? 1 : 6;  // two seconds of a CPU are only a hundred frames
    double goodput = 0;
    for (int seed = 1; seed <= seeds; ++seed) {
      device.seed = static_cast<std::uint64_t>(seed);
      goodput += goodput_fps(run(device), 3s, 5s) / seeds;
    }
    EXPECT_GE(goodput, .96 * capacity / 1.25) << name;
  }
}

TEST(SchedulingBars, RecoversFromAStallThatMadeEveryEstimateHopeless) {
  for (auto& [name, device, capacity] : at_load(2, 100ms)) {
    device.speed = {{1s, 1.0 / 20}, {2s, 1}};
    device.length = 10s;
    EXPECT_GE(goodput_fps(run(device), 4s, 10s), .96 * capacity) << name;
  }
}

TEST(SchedulingBars, AShortSloDoesNotStarveTheOtherModel) {
  SimulatedDevice device;  // 2 x 50 cameras at 20/s: 3.5x overload
  device.lanes = {gpu_draws(.1), gpu_draws(.1)};
  device.is_serial = true;
  device.length = 6s;
  for (std::size_t i = 0; i < 100; ++i) {
    const std::size_t model = i < 50 ? 0 : 1;
    device.cameras.push_back(
        {.dispatch = {PolicyKind::kFull, Priority::kNormal, model == 0 ? 80ms : 500ms, 50ms, model},
         .lane = static_cast<LaneIndex>(model)});
  }
  const DeviceFigures figures = run(device);
  const std::int64_t tight = figures.inferences_of_lane[0];
  const std::int64_t loose = figures.inferences_of_lane[1];
  EXPECT_LE(tight, 2 * loose);
  EXPECT_LE(loose, 2 * tight);
  EXPECT_LE(gap_ratio_p999(of(figures, Priority::kNormal)), 3);
  EXPECT_GE(goodput_fps(figures, 1s, device.length), .96 * kGpuFps);
}

TEST(SchedulingBars, AuditsAreAShareOfWhatAdaptiveCamerasInfer) {
  // As in the engine (AuditPlan): what cameras of other policies infer buys no audits.
  SimulatedDevice device;
  device.lanes = {gpu_draws(.1)};
  device.is_serial = true;
  device.length = 60s;
  device.share = .2;
  for (std::size_t i = 0; i < 30; ++i) {
    const bool is_full = i < 20;
    device.cameras.push_back(
        {.dispatch = {is_full ? PolicyKind::kFull : PolicyKind::kAdaptive,
                      is_full ? Priority::kNormal : Priority::kBackground, 200ms, kPeriod, 0}});
  }
  const DeviceFigures figures = run(device);
  const auto inferred = static_cast<double>(of(figures, Priority::kBackground).inferred);
  EXPECT_GT(inferred, 600);
  EXPECT_NEAR(static_cast<double>(figures.audits), .05 / .95 * inferred, .25 * inferred / 19)
      << "of " << inferred;
}

TEST(SchedulingBars, SameSeedSameOutcome) {
  for (const auto& [name, device, capacity] : at_load(2, 200ms)) {
    const auto decisions = [&, &world = device] {
      std::vector<DispatchRecord> records;
      (void)simulate_device(world,
                            [&](DispatchRecord&& record) { records.push_back(std::move(record)); });
      return records;
    };
    EXPECT_TRUE(decisions() == decisions()) << name;
  }
}

TEST(SchedulingBars, NoBatchBreaksARule) {
  for (const auto& [name, device, capacity] : at_load(2, 200ms)) {
    std::map<CameraIndex, std::int64_t> waiting;
    std::map<CameraIndex, std::int64_t> in_flight;
    std::size_t batches = 0;
    std::size_t looks = 0;
    (void)simulate_device(device, [&, &world = device](DispatchRecord&& record) {
      if (const auto* const came = std::get_if<FrameArrived>(&record)) {
        waiting[came->frame.sampled.camera] = came->frame.seq;
      } else if (const auto* const done = std::get_if<BatchCompleted>(&record)) {
        for (const CameraIndex camera : done->cameras) in_flight.erase(camera);
        --batches;
      } else if (const auto* const look = std::get_if<Decided>(&record)) {
        ++looks;
        const std::vector<SentFrame>& batch = look->decision.batch;
        EXPECT_LE(batch.size(), world.lanes.front().knee_frames());
        if (!batch.empty()) ++batches;
        EXPECT_LE(batches, world.lanes.front().batches_max());
        for (const SentFrame& frame : batch) {
          EXPECT_EQ(waiting[frame.camera], frame.seq) << "the newest";
          EXPECT_TRUE(in_flight.emplace(frame.camera, frame.seq).second)
              << "one a camera: answers stay in order";
        }
        // What has just been sent may be followed by another batch; else time has to pass.
        if (batch.empty() && look->decision.wake_at) {
          EXPECT_GT(*look->decision.wake_at, look->at);
        }
      }
    });
    EXPECT_GT(looks, 1000U) << name;
  }
}

}  // namespace
}  // namespace framemill
