// The simulator keeps its books, repeats itself, and draws what was measured; our policy keeps the
// bars of scheduling where the usual ones do not.

#include "framemill/plan/simulator.h"

#include <cmath>
#include <string>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

/// A distribution from `mean` - 10 % to `mean` + 10 %, evenly.
LatencyDistribution around(double mean_s) {
  LatencyDistribution distribution;
  for (int i = 0; i <= 100; ++i) {
    distribution.percentiles.push_back(from_seconds(mean_s * (.9 + .002 * i)));
  }
  return distribution;
}

/// A CPU with two streams of 30 ms each, 66.7 a second; alone a picture takes 16 ms.
DeviceProfile cpu_profile() {
  DeviceProfile profile{
      .device = "CPU", .device_name = "a CPU", .model = "m.onnx", .precision = "int8"};
  profile.run_streams = profile.knee_streams = 2;
  profile.points = {{.batch = 1, .streams = 1, .frames_per_s = 62, .service = around(.016)},
                    {.batch = 1, .streams = 2, .frames_per_s = 66.7, .service = around(.030)}};
  return profile;
}

/// A GPU: 6 ms + 1 ms a frame, knee 8, two batches in flight share it: 571 a second.
DeviceProfile gpu_profile() {
  DeviceProfile profile{
      .device = "GPU", .device_name = "a GPU", .model = "m.onnx", .precision = "fp16"};
  profile.run_streams = 2;
  profile.knee_batch = 8;
  for (const std::size_t batch : {1U, 2U, 4U, 8U}) {
    const double alone = .006 + .001 * static_cast<double>(batch);
    profile.points.push_back({.batch = batch, .streams = 1, .service = around(alone)});
    profile.points.push_back({.batch = batch, .streams = 2, .service = around(2 * alone)});
  }
  return profile;
}

CameraGroup group_of(std::int64_t count) {
  return {.name = "gates", .count = count, .rate_hz = 10, .slo = 200ms, .model = "m.onnx"};
}
Workload workload_of(std::vector<CameraGroup> groups) {
  Workload workload;
  workload.cameras = std::move(groups);
  return workload;
}
SimulatedSite site_of(const Workload& workload, const DeviceProfile& profile,
                      std::optional<std::size_t> devices = std::nullopt, Duration length = 30s,
                      std::uint64_t seed = 1) {
  Result<SimulatedSite> site = make_site(workload, {&profile, 1}, devices, length, seed);
  EXPECT_TRUE(site.has_value()) << site.error().message();
  return *std::move(site);
}
const ClassFigures& normal(const SimulationResult& result) {
  return result.total.classes[static_cast<std::size_t>(Priority::kNormal)];
}
double per_second(std::int64_t count, const SimulationResult& result) {
  return static_cast<double>(count) / to_seconds(result.length);
}

TEST(Simulator, EveryFrameHasOneOutcomeInEveryScenarioAndPolicy) {
  for (const PolicyKind policy : {PolicyKind::kFull, PolicyKind::kHold, PolicyKind::kAdaptive}) {
    CameraGroup critical = group_of(3);
    critical.priority = Priority::kCritical;
    CameraGroup gates = group_of(20);
    gates.policy = critical.policy = policy;
    if (policy != PolicyKind::kFull) gates.budget.share = .5;
    for (const std::size_t devices : {1U, 2U, 3U}) {
      const SimulatedSite site = site_of(workload_of({critical, gates}), cpu_profile(), devices);
      for (const Scenario scenario : kScenarios) {
        const SimulationResult result = simulate(site, scenario);
        std::int64_t cameras = 0;
        for (const ClassFigures& figures : result.total.classes) {
          EXPECT_EQ(figures.sampled, figures.outcomes())
              << to_string(scenario) << ' ' << to_string(policy) << ' ' << devices;
          cameras += figures.cameras;
        }
        EXPECT_EQ(cameras, 23) << to_string(scenario);
        EXPECT_LE(result.busiest, 1 + 1e-9);
      }
    }
  }
}

TEST(Simulator, SameSeedSameFiguresAndAnotherSeedOthers) {
  CameraGroup group = group_of(40);
  group.policy = PolicyKind::kAdaptive;
  const auto run = [&](std::uint64_t seed) {
    return simulate(site_of(workload_of({group}), cpu_profile(), 3, 30s, seed), Scenario::kBurst);
  };
  const SimulationResult a = run(1), b = run(1), c = run(2);
  EXPECT_EQ(a.total.events, b.total.events);
  EXPECT_EQ(normal(a).inferred_latency.sum(), normal(b).inferred_latency.sum());
  EXPECT_EQ(normal(a).fidelity_sum, normal(b).fidelity_sum);
  EXPECT_EQ(a.total.busy_s, b.total.busy_s);
  EXPECT_NE(normal(a).inferred_latency.sum(), normal(c).inferred_latency.sum());
}

TEST(Simulator, ALonelyCameraSeesTheTimesThatWereMeasured) {
  const SimulationResult result =
      simulate(site_of(workload_of({group_of(1)}), cpu_profile(), 1, 600s), Scenario::kSteady);
  EXPECT_NEAR(to_ms(normal(result).inferred_latency.percentile(.5)), 16, .3);
  EXPECT_NEAR(to_ms(normal(result).inferred_latency.percentile(.95)), 16 * 1.09, .3);
  EXPECT_EQ(normal(result).superseded, 0);
}

// The same times, in spells or at random: as much work, and longer queues.
TEST(Simulator, SlowSpellsMakeQueuesThatSlowBatchesHereAndThereDoNot) {
  DeviceProfile profile = cpu_profile();
  LatencyDistribution wide;
  for (int i = 0; i <= 100; ++i) wide.percentiles.push_back(from_seconds(.018 + .00024 * i));
  profile.runs = {{.cameras = 5,
                   .rate_hz = 10,
                   .frames_per_s = 50,
                   .batches = {{.batch = 1, .in_flight = 1, .count = 100, .service = wide},
                               {.batch = 1, .in_flight = 2, .count = 100, .service = wide}}}};
  const auto run = [&](double likeness) {
    profile.runs[0].likeness = likeness;
    profile.runs[0].likeness_time = 2s;
    return simulate(site_of(workload_of({group_of(5)}), profile, 1, 600s), Scenario::kSteady);
  };
  const SimulationResult without = run(0), with = run(.9);
  EXPECT_NEAR(with.total.busy_s / without.total.busy_s, 1, .02);
  EXPECT_GT(normal(with).inferred_latency.percentile(.99),
            1.08 * normal(without).inferred_latency.percentile(.99));
}

TEST(Simulator, DecodingAndCarryingLieBeforeTheModelAndBesideIt) {
  DeviceProfile profile = cpu_profile();
  profile.points[1].cpu_cores = 2;
  const Workload workload = workload_of({group_of(40)});
  const SimulatedSite without = site_of(workload, profile, 1);
  profile.decode = {{.codec = "h264", .size = {1920, 1080}, .frames_per_core_s = 2000}};
  const SimulatedSite with = site_of(workload, profile, 1);
  EXPECT_EQ(with.devices[0].cameras[0].ingest, 500us);
  // 40 x 25 frames/s of .5 ms are half a core of the two.
  EXPECT_NEAR(with.capacity_per_s / without.capacity_per_s, .75, .001);
}

TEST(Simulator, SamplesAreFramesOfTheCamera) {
  SimulatedSite site = site_of(workload_of({group_of(1)}), cpu_profile(), 1, 10s);
  SimulatedDevice& device = site.devices[0];
  device.jitter = Duration::zero();
  device.cameras[0].phase = 0;
  ASSERT_EQ(device.cameras[0].fps, 25);
  const ClassFigures figures =
      simulate_device(device).classes[static_cast<std::size_t>(Priority::kNormal)];
  EXPECT_EQ(figures.sampled, 100);
  // Ten of 25 frames a second: gaps of 120 and 80 ms by turns, give or take the service time.
  EXPECT_NEAR(to_seconds(figures.gap_periods.percentile(.9)), 1.2, .08);
  EXPECT_NEAR(to_seconds(figures.gap_periods.percentile(.1)), .8, .08);
}

TEST(Simulator, ABusyDeviceDoesWhatItDidOnTheBench) {
  for (const auto& [profile, capacity] :
       {std::pair(cpu_profile(), 2 / .030), std::pair(gpu_profile(), 8 / .014)}) {
    const auto count = static_cast<std::int64_t>(2 * capacity / 10);
    const SimulationResult result =
        simulate(site_of(workload_of({group_of(count)}), profile, 1), Scenario::kSteady);
    EXPECT_NEAR(per_second(normal(result).inferred, result) / capacity, 1, .04) << profile.device;
  }
}

TEST(Simulator, OursKeepsTheBarsAndTheBaselinesDoNot) {
  for (const DeviceProfile& profile : {cpu_profile(), gpu_profile()}) {
    const std::vector<BarFigures> rows =
        measure_bars(site_of(workload_of({group_of(4)}), profile, 1), 60s);
    const BarFigures& ours = rows.front();
    EXPECT_GE(ours.goodput, .96) << profile.device;
    EXPECT_LE(ours.p50_of_slo, .55) << profile.device;
    EXPECT_LE(ours.gap_of_mean, 3) << profile.device;
    EXPECT_GE(ours.after_slowdown, .96) << profile.device;
    EXPECT_GE(ours.critical_on_time, .99) << profile.device;
    for (std::size_t i = 1; i < rows.size(); ++i) {
      EXPECT_LT(rows[i].critical_on_time, .9) << rows[i].policy << " knows no priorities";
    }
  }
}

TEST(Simulator, AdaptiveAnswersEveryFrameInTimeUnderOverload) {
  CameraGroup group = group_of(27);  // 4 x what the device infers
  group.policy = PolicyKind::kAdaptive;
  const SimulationResult result =
      simulate(site_of(workload_of({group}), cpu_profile(), 1, 60s), Scenario::kSteady);
  const ClassFigures& figures = normal(result);
  EXPECT_EQ(figures.superseded, 0);
  EXPECT_LE(figures.late + figures.not_on_time, figures.sampled / 200);
  EXPECT_LE(to_seconds(figures.gap_periods.percentile(.999)), 3);
  EXPECT_GT(figures.fidelity_sum / static_cast<double>(figures.sampled), .95);
}

TEST(Simulator, AScenarioShowsWhatItIsFor) {
  const SimulatedSite site = site_of(workload_of({group_of(12)}), cpu_profile(), 2, 90s);
  const SimulationResult steady = simulate(site, Scenario::kSteady);
  EXPECT_LE(normal(steady).superseded, normal(steady).sampled / 200);
  const SimulationResult burst = simulate(site, Scenario::kBurst);
  EXPECT_NEAR(static_cast<double>(normal(burst).sampled),
              static_cast<double>(normal(steady).sampled) * 4 / 3,
              .01 * static_cast<double>(normal(steady).sampled));
  const SimulationResult lost = simulate(site, Scenario::kDeviceLost);
  EXPECT_GT(normal(lost).superseded, normal(lost).sampled / 10) << "120/s on a device of 67/s";
  const SimulationResult flood = simulate(site, Scenario::kFlood);
  EXPECT_GT(flood.total.classes.back().superseded, 0);
  const SimulationResult cold = simulate(site, Scenario::kColdSwitch);
  EXPECT_GE(cold.total.classes[1].worst_gap, 2s);
}

TEST(Simulator, OneFloodingCameraCostsTheOthersNothing) {
  const SimulatedSite site = site_of(workload_of({group_of(5)}), cpu_profile(), 1, 60s);
  const SimulationResult flood = simulate(site, Scenario::kFlood);
  EXPECT_EQ(flood.total.classes.back().cameras, 1);
  EXPECT_GT(flood.total.classes.back().superseded, flood.total.classes.back().sampled / 2);
  EXPECT_EQ(normal(flood).cameras, 4);
  EXPECT_GE(normal(flood).inferred_on_time, normal(flood).sampled * 99 / 100);
}

TEST(Simulator, SaysWhatIsWrongWithItsInput) {
  const auto problem = [](const Workload& workload, std::vector<DeviceProfile> profiles,
                          std::optional<std::size_t> devices = std::nullopt) {
    const Result<SimulatedSite> site = make_site(workload, profiles, devices, 60s, 1);
    return site ? std::string("none") : site.error().message();
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(problem(workload_of({}), {cpu_profile()}), "no cameras"));
  EXPECT_TRUE(
      has(problem(workload_of({group_of(1'000'000'000)}), {cpu_profile()}), "framemill plan"));
  EXPECT_TRUE(has(problem(workload_of({group_of(4)}), {cpu_profile(), gpu_profile()}), "several"));
  EXPECT_TRUE(has(problem(workload_of({group_of(4)}), {cpu_profile()}, 5), "give 1 to 4"));
  CameraGroup other = group_of(4);
  other.model = "other.onnx";
  EXPECT_TRUE(has(problem(workload_of({other}), {cpu_profile()}), "no profile is of it"));
  CameraGroup quick = group_of(4);
  quick.slo = 10ms;
  EXPECT_TRUE(has(problem(workload_of({quick}), {cpu_profile()}), "above 16 ms"));
  DeviceProfile empty = cpu_profile();
  empty.points.clear();
  EXPECT_TRUE(has(problem(workload_of({group_of(4)}), {empty}), "framemill bench"));
}

TEST(Simulator, TheExampleOfThePlanGetsItsDevices) {
  DeviceProfile t4 = cpu_profile();
  t4.points = {{.batch = 1, .streams = 2, .frames_per_s = 80, .service = around(.025)}};
  EXPECT_EQ(site_of(workload_of({group_of(64)}), t4).devices.size(), 12U);
}

}  // namespace
}  // namespace framemill
