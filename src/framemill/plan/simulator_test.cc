// The simulator keeps its books, repeats itself, and draws what was measured; our policy keeps the
// bars of scheduling where the usual ones do not.

#include "framemill/plan/simulator.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "framemill/plan/capacity.h"
#include "framemill/plan/catalogue.h"

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

/// The same beside cameras: runs that asked for .3, .6 and 1.2 of what it does alone, in which any
/// batch took 30, 40 and 60 ms.
DeviceProfile profile_with_runs() {
  DeviceProfile profile = cpu_profile();
  for (const auto& [cameras, seconds] :
       {std::pair(2U, .030), std::pair(4U, .040), std::pair(8U, .060)}) {
    profile.runs.push_back(
        {.cameras = cameras,
         .rate_hz = 10,
         .frames_per_s = std::min(10.0 * cameras, 2 / seconds),
         .batches = {{.batch = 1, .in_flight = 1, .count = 100, .service = around(seconds)},
                     {.batch = 1, .in_flight = 2, .count = 100, .service = around(seconds)}}});
  }
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
  Result<SimulatedSite> site =
      make_site(workload, {&profile, 1}, {.devices = devices, .length = length, .seed = seed});
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

/// What half of the batches take on the site's device, alone or not.
double median_ms(const SimulatedDevice& device) {
  EXPECT_EQ(device.lanes[0].quantile_s(1, 1, .5), device.lanes[0].quantile_s(1, 2, .5));
  return 1e3 * device.lanes[0].quantile_s(1, 1, .5);
}

// 66.7/s alone: 20/s are the first run and 40/s the second, whatever a full device could do (33/s).
TEST(Simulator, BatchesTakeWhatTheyTookInTheRunOfTheSameLoad) {
  const DeviceProfile profile = profile_with_runs();
  for (const RunPoint& run : profile.runs) {
    for (const std::size_t devices : {1U, 3U}) {
      const auto count = static_cast<std::int64_t>(run.cameras * devices);
      const SimulatedSite site = site_of(workload_of({group_of(count)}), profile, devices);
      const double measured = to_ms(run.batches[0].service.percentiles[50]);
      EXPECT_NEAR(median_ms(site.devices.front()), measured, 1e-6) << count;
      EXPECT_NEAR(site.capacity_per_s, 2 / .060 * static_cast<double>(devices), 1e-6);
    }
  }
  const SimulationResult alone =
      simulate(site_of(workload_of({group_of(2)}), profile, 1, 60s), Scenario::kSteady);
  EXPECT_NEAR(to_ms(normal(alone).inferred_latency.percentile(.5)), 30, .5);
}

TEST(Simulator, BetweenTwoRunsALoadIsWhereItLies) {
  // 5 cameras on two devices: 3 are half way from 2 to 4, 2 are the first run.
  const SimulatedSite site = site_of(workload_of({group_of(5)}), profile_with_runs(), 2);
  EXPECT_NEAR(median_ms(site.devices[0]), 35, 1e-6);
  EXPECT_NEAR(median_ms(site.devices[1]), 30, 1e-6);
  // What is not inferred asks nothing of the model: half of 6 cameras.
  CameraGroup half = group_of(6);
  half.duty = .5;
  EXPECT_NEAR(median_ms(site_of(workload_of({half}), profile_with_runs(), 1).devices[0]), 35, 1e-6);
}

// Two models that ask for .15 and .3 of what each does alone ask for .45 of the device.
TEST(Simulator, LoadsOfSeveralModelsAddUp) {
  std::vector<DeviceProfile> profiles{profile_with_runs(), profile_with_runs()};
  profiles[1].model = "other.onnx";
  CameraGroup first = group_of(1), second = group_of(2);
  second.model = "other.onnx";
  const Result<SimulatedSite> site =
      make_site(workload_of({first, second}), profiles, {.devices = 1, .length = 30s});
  ASSERT_TRUE(site);
  EXPECT_NEAR(median_ms(site->devices[0]), 35, 1e-6);
  EXPECT_NEAR(site->demand_per_s, 30, 1e-9);
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

// More than all of a device's slots can do is a fault of the measure: it took the times of the
// site's light load, and a policy that wastes a third would have kept the bar.
TEST(Simulator, TheBarsAreThoseOfAFullDevice) {
  for (const std::size_t devices : {1U, 4U}) {
    const std::vector<BarFigures> rows =
        measure_bars(site_of(workload_of({group_of(8)}), profile_with_runs(), devices), 60s);
    for (const BarFigures& row : rows) {
      EXPECT_LE(row.goodput, 1.02) << row.policy;
      EXPECT_LE(row.after_slowdown, 1.02) << row.policy;
    }
    EXPECT_GE(rows.front().goodput, .96);
    EXPECT_GE(rows.front().after_slowdown, .96);
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

// 2 of 4 cameras of 5/s see nothing for a second: each has 5 frames that fail, and a gap.
TEST(Simulator, ALostDeviceIsAnOutageOfItsCameras) {
  for (const PolicyKind policy : {PolicyKind::kFull, PolicyKind::kAdaptive}) {
    CameraGroup group = group_of(4);
    group.rate_hz = 5;
    group.policy = policy;
    const SimulatedSite site = site_of(workload_of({group}), cpu_profile(), 2, 12s);
    const SimulationResult steady = simulate(site, Scenario::kSteady);
    const SimulationResult lost = simulate(site, Scenario::kDeviceLost);
    EXPECT_EQ(normal(lost).cameras, 4);
    EXPECT_NEAR(static_cast<double>(normal(lost).sampled),
                static_cast<double>(normal(steady).sampled), 2);
    EXPECT_GE(normal(lost).failed, 10) << to_string(policy);
    EXPECT_LE(normal(lost).failed, 12) << "and one each at the model";
    EXPECT_GE(normal(lost).worst_gap, 1s);
    EXPECT_LE(normal(lost).worst_gap, 1s + 2 * 200ms + 50ms);
    EXPECT_LT(normal(steady).worst_gap, 300ms);
  }
}

// On a processor more frames mean slower batches, as in the runs of such loads.
TEST(Simulator, BatchesTakeLongerWhereAScenarioMakesMoreWork) {
  const DeviceProfile profile = profile_with_runs();
  const SimulatedSite site = site_of(workload_of({group_of(4)}), profile, 2, 90s);
  const auto p95_ms = [&](Scenario scenario) {
    return to_ms(normal(simulate(site, scenario)).inferred_latency.percentile(.95));
  };
  EXPECT_LT(p95_ms(Scenario::kSteady), 30 * 1.1 + 1);
  // From .3 to .6 of what the model does alone: from 30 to 40 ms, for half of the frames.
  EXPECT_GT(p95_ms(Scenario::kBurst), 40);
  EXPECT_GT(p95_ms(Scenario::kDeviceLost), 40);
  // 21 times one camera's load, beside which the other camera's frames take 60 ms.
  const SimulatedSite one = site_of(workload_of({group_of(2)}), profile, 1, 90s);
  const SimulationResult flood = simulate(one, Scenario::kFlood);
  EXPECT_GT(to_ms(normal(flood).inferred_latency.percentile(.5)), 55);
}

// What is counted from 5 s on and what is counted until 5 s are all there is.
TEST(Simulator, WindowsAddUpToTheWholeRun) {
  for (const PolicyKind policy : {PolicyKind::kFull, PolicyKind::kHold, PolicyKind::kAdaptive}) {
    CameraGroup group = group_of(12);
    group.policy = policy;
    if (policy != PolicyKind::kFull) group.budget.share = .4;
    SimulatedDevice device = site_of(workload_of({group}), cpu_profile(), 1, 12s).devices.front();
    const auto figures = [&](Duration from, Duration until) {
      device.count_from = from;
      device.count_until = until;
      return simulate_device(device).classes[static_cast<std::size_t>(Priority::kNormal)];
    };
    const ClassFigures whole = figures(Duration::min(), Duration::max());
    const ClassFigures before = figures(Duration::min(), 5s), after = figures(5s, Duration::max());
    EXPECT_EQ(before.sampled, before.outcomes());
    EXPECT_EQ(after.sampled, after.outcomes());
    ClassFigures sum = before;
    sum.merge(after);
    EXPECT_EQ(sum.sampled, whole.sampled);
    EXPECT_EQ(sum.inferred, whole.inferred);
    EXPECT_EQ(sum.propagated, whole.propagated);
    EXPECT_EQ(sum.reused, whole.reused);
    EXPECT_EQ(sum.superseded, whole.superseded);
    EXPECT_EQ(sum.not_on_time, whole.not_on_time);
    EXPECT_EQ(sum.inferred_latency.sum(), whole.inferred_latency.sum());
    EXPECT_EQ(sum.gap_periods.count(), whole.gap_periods.count());
    EXPECT_NEAR(sum.fidelity_sum, whole.fidelity_sum, 1e-6);
    EXPECT_NEAR(static_cast<double>(before.sampled), 12 * 50, 12);
  }
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
    const Result<SimulatedSite> site =
        make_site(workload, profiles, {.devices = devices, .length = 60s});
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

TEST(Simulator, ModelsAreNamedAsForThePlan) {
  for (const char* name : {"m.onnx", "m", "M.onnx", ""}) {
    CameraGroup group = group_of(4);
    group.model = name;
    const DeviceProfile profile = cpu_profile();
    EXPECT_TRUE(make_site(workload_of({group}), {&profile, 1}, {.devices = 1, .length = 30s}))
        << name;
  }
}

TEST(Simulator, ModelsOfDifferentDevicesAreNotOnOne) {
  std::vector<DeviceProfile> profiles{cpu_profile(), cpu_profile()};
  profiles[1].model = "n.onnx";
  CameraGroup other = group_of(4);
  other.name = "yard";
  other.model = "n.onnx";
  const auto problem = [&] {
    const Result<SimulatedSite> site =
        make_site(workload_of({group_of(4), other}), profiles, {.devices = 1, .length = 30s});
    return site ? std::string("none") : site.error().message();
  };
  EXPECT_EQ(problem(), "none");
  profiles[0].environment["cores"] = "2";
  profiles[1].environment["cores"] = "16";
  EXPECT_NE(problem().find("a CPU with 16 cores, and m.onnx was on a CPU with 2 cores"),
            std::string::npos)
      << problem();
  profiles[1].device = "cuda:0";
  profiles[1].device_name = "H200";
  EXPECT_NE(problem().find("cameras[yard] run n.onnx, which was measured on H200"),
            std::string::npos)
      << problem();
}

std::int64_t planned(const Workload& workload, const DeviceProfile& profile) {
  const Result<Plan> plan = plan_capacity(
      {.workload = workload, .profiles = {{.profile = profile}}}, built_in_catalogue());
  EXPECT_TRUE(plan) << plan.error().message();
  return plan->best()->count;
}

TEST(Simulator, ThereAreAsManyDevicesAsPlanned) {
  DeviceProfile decoding = cpu_profile();
  decoding.environment["cores"] = "2";
  decoding.decode = {{.codec = "h264", .size = {1920, 1080}, .frames_per_core_s = 500}};
  for (const DeviceProfile& profile : {cpu_profile(), decoding}) {
    for (const double redundancy : {1.0, 1.5}) {
      Workload workload = workload_of({group_of(40)});
      workload.redundancy = redundancy;
      for (const bool n_plus_1 : {false, true}) {
        workload.n_plus_1 = n_plus_1;
        EXPECT_EQ(static_cast<std::int64_t>(site_of(workload, profile).devices.size()),
                  planned(workload, profile));
      }
    }
  }
  EXPECT_GT(site_of(workload_of({group_of(40)}), decoding).devices.size(),
            site_of(workload_of({group_of(40)}), cpu_profile()).devices.size());
  // Whoever wants another device is shown those that were measured.
  Workload workload = workload_of({group_of(40)});
  const auto count = static_cast<std::int64_t>(site_of(workload, cpu_profile()).devices.size());
  workload.devices = {{.name = "T4", .throughput = 1e6}, {.name = "a cpu", .throughput = 1e6}};
  EXPECT_EQ(static_cast<std::int64_t>(site_of(workload, cpu_profile()).devices.size()), count);
  // One camera cannot be dealt to two.
  EXPECT_EQ(site_of(workload_of({group_of(1)}), cpu_profile()).devices.size(), 1U);
}

/// The lanes that are used on a device.
std::set<std::size_t> lanes_of(const SimulatedDevice& device) {
  std::set<std::size_t> lanes;
  for (const SimulatedCamera& camera : device.cameras) lanes.insert(camera.lane);
  return lanes;
}

// Promise: what plan lays out is what is simulated: a device has the cameras whose model is planned
// on it, and as many of them as were planned for it.
TEST(Simulator, DevicesRunWhatThePlanLaysOutOnThem) {
  std::vector<DeviceProfile> profiles{cpu_profile(), cpu_profile()};
  profiles[1].model = "n.onnx";
  profiles[1].run_streams = 3;
  CameraGroup yard = group_of(2);
  yard.name = "yard";
  yard.model = "n.onnx";
  Workload workload = workload_of({group_of(40), yard});
  workload.n_plus_1 = false;
  const Result<SimulatedSite> site = make_site(workload, profiles, {.length = 12s});
  ASSERT_TRUE(site) << site.error().message();
  ASSERT_GT(site->layouts.size(), 1U);
  const Result<Plan> plan = plan_capacity(
      {.workload = workload, .profiles = {{.profile = profiles[0]}, {.profile = profiles[1]}}},
      built_in_catalogue());
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(static_cast<std::int64_t>(site->devices.size()), plan->best()->count);
  std::size_t at = 0;
  for (const DeviceLayout& layout : site->layouts) {
    std::set<std::size_t> planned;
    for (const PlannedModel& model : layout.models) planned.insert(model.model == "n.onnx");
    for (std::int64_t i = 0; i < layout.count; ++i) {
      const SimulatedDevice& device = site->devices.at(at++);
      EXPECT_EQ(lanes_of(device), planned) << at;
      EXPECT_EQ(dispatch_options(device).batches_max, planned.contains(1) ? 3 : 2) << at;
      EXPECT_LE(10 * static_cast<double>(device.cameras.size()), layout.qps + 10) << at;
    }
  }
  EXPECT_EQ(at, site->devices.size());
  // Also where one is lost, and others take over what they were not planned for.
  for (const Scenario scenario : kScenarios) {
    const SimulationResult result = simulate(*site, scenario);
    EXPECT_EQ(normal(result).sampled, normal(result).outcomes()) << to_string(scenario);
    EXPECT_EQ(normal(result).cameras + result.total.classes.back().cameras, 42);
  }
  // As given they are all alike.
  const Result<SimulatedSite> alike =
      make_site(workload, profiles, {.devices = site->devices.size(), .length = 12s});
  ASSERT_TRUE(alike);
  EXPECT_TRUE(alike->layouts.empty());
  EXPECT_EQ(lanes_of(alike->devices[4]), (std::set<std::size_t>{0, 1}));
}

// A device has the budget of its own cameras; one without any has room for those of others.
TEST(Simulator, ADevicesShareIsThatOfTheCamerasLaidOutOnIt) {
  std::vector<DeviceProfile> profiles(3, cpu_profile());
  profiles[1].model = "n.onnx";
  profiles[2].model = "o.onnx";
  std::vector<CameraGroup> groups{group_of(4), group_of(20), group_of(10)};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i].name = profiles[i].model;
    groups[i].model = profiles[i].model;
  }
  groups[1].duty = .2;
  groups[2].duty = .4;
  Workload workload = workload_of(groups);
  workload.n_plus_1 = false;
  workload.redundancy = 1;
  const Result<SimulatedSite> site = make_site(workload, profiles, {.length = 12s});
  ASSERT_TRUE(site) << site.error().message();
  ASSERT_EQ(site->devices.size(), 3U);
  const std::map<std::set<std::size_t>, double> want{
      {{0}, 80 / 300.}, {{1}, .2}, {{2}, .4}};  // 20 x 10 x .2 + 10 x 10 x .4 of 300
  std::map<std::set<std::size_t>, double> shares;
  for (const SimulatedDevice& device : site->devices) shares[lanes_of(device)] = device.share;
  ASSERT_EQ(shares.size(), 3U);
  for (const auto& [lanes, share] : want) EXPECT_NEAR(shares[lanes], share, 1e-12);
}

TEST(Simulator, EtaIsThatOfThePlan) {
  Workload workload = workload_of({group_of(40)});
  const auto devices = [&](std::optional<double> eta) {
    const DeviceProfile profile = cpu_profile();
    const Result<SimulatedSite> site =
        make_site(workload, {&profile, 1}, {.eta = eta, .length = 12s});
    EXPECT_TRUE(site);
    EXPECT_EQ(site->eta, workload.eta ? workload.eta : eta.value_or(kEtaDefault));
    return site->devices.size();
  };
  EXPECT_EQ(devices(std::nullopt), devices(.85));
  EXPECT_EQ(devices(.5), 18U);  // 1.5 x 400 / (66.7 x .5)
  EXPECT_EQ(devices(1), 9U);
  workload.eta = 1;
  EXPECT_EQ(devices(.5), 9U) << "the workload's own counts more";
}

/// A T4 in a machine of 16 cores, each of which decodes 200 frames of 1080p a second.
DeviceProfile t4_profile() {
  DeviceProfile profile = cpu_profile();
  profile.device = "cuda:0";
  profile.device_name = "Tesla T4";
  profile.environment["cores"] = "16";
  profile.decode = {{.codec = "hevc", .size = {1920, 1080}, .frames_per_core_s = 200},
                    {.codec = "h264", .size = {1920, 1080}, .frames_per_core_s = 400}};
  return profile;
}

// Promise: who decodes is as plan has it. Frames are late by what they take there, and what there
// is of cores and decoders is that of the plan.
TEST(Simulator, BesideACardTheProcessorOrTheCardDecodes) {
  CameraGroup hall = group_of(10), gate = group_of(10);
  hall.name = "hall";
  hall.codec = gate.codec = "hevc";
  gate.decode = "auto";
  SimulatedSite site = site_of(workload_of({hall, gate}), t4_profile(), 1);
  EXPECT_EQ(site.devices[0].cameras[0].ingest, 5ms) << "by a core";
  const double frame_s = 2 * 1920 * 1080 / 4313.4e6;  // one of two engines
  EXPECT_NEAR(to_seconds(site.devices[0].cameras[10].ingest), frame_s, 1e-6) << "by the card";
  ASSERT_TRUE(site.decoding);
  EXPECT_NEAR(site.decoding->cores, 10 * 25 / 200., 1e-9);
  EXPECT_NEAR(site.decoding->card, 10 * 25 * frame_s / 2, 1e-9);
  EXPECT_EQ(site.decoding->all_cores, 16);
  EXPECT_EQ(decoding_shortage(site), "");
  // The decoders of one card a machine serve all of them.
  Workload two = workload_of({hall, gate});
  two.devices = {{.name = "T4", .per_node = 2, .cores = 1}};
  site = site_of(two, t4_profile(), 1);
  EXPECT_NEAR(site.decoding->cores, 2 * 10 * 25 / 200., 1e-9);
  EXPECT_NEAR(site.decoding->card, 10 * 25 * frame_s, 1e-9);
  EXPECT_NE(decoding_shortage(site).find("2.5 cores of a machine that has 1"), std::string::npos)
      << decoding_shortage(site);
  // What adaptive makes of a duty wants motion vectors, which h264 has.
  gate.codec = "h264";
  gate.duty = .5;
  EXPECT_EQ(site_of(workload_of({gate}), t4_profile(), 1).devices[0].cameras[0].ingest, 2500us);
  // Nobody published how a T4 decodes it.
  gate.codec = "mjpeg";
  site = site_of(workload_of({gate}), t4_profile(), 1);
  EXPECT_EQ(site.devices[0].cameras[0].ingest, 0us);
  EXPECT_NE(decoding_shortage(site).find("how fast mjpeg is decoded"), std::string::npos);
  // On a processor all is decoded by its cores, whatever is asked for.
  DeviceProfile cpu = cpu_profile();
  cpu.decode = t4_profile().decode;
  gate.codec = "hevc";
  site = site_of(workload_of({gate}), cpu, 1);
  EXPECT_EQ(site.devices[0].cameras[0].ingest, 5ms);
  EXPECT_FALSE(site.decoding);
}

// 100 cameras of 25/s at 200 a core are 12.5 cores: four machines of 4 cores, and one may be lost.
TEST(Simulator, CoresAroundACardAreCountedAsPlanned) {
  CameraGroup group = group_of(100);
  group.rate_hz = 1;
  group.codec = "hevc";
  Workload workload = workload_of({group});
  workload.devices = {{.name = "T4", .cores = 4}};
  EXPECT_EQ(static_cast<std::int64_t>(site_of(workload, t4_profile()).devices.size()),
            planned(workload, t4_profile()));
  EXPECT_EQ(site_of(workload, t4_profile()).devices.size(), 5U);
}

TEST(Simulator, TheExampleOfThePlanGetsItsDevices) {
  DeviceProfile t4 = cpu_profile();
  t4.points = {{.batch = 1, .streams = 2, .frames_per_s = 80, .service = around(.025)}};
  Workload workload = workload_of({group_of(64)});
  workload.eta = 1;
  EXPECT_EQ(site_of(workload, t4).devices.size(), 12U);
}

// The first of the site's devices is what one machine is given to play.
TEST(Simulator, TheShareOfADeviceIsWhatTheFirstOneGets) {
  CameraGroup gates = group_of(5), yard = group_of(4), dock = group_of(1);
  yard.policy = PolicyKind::kAdaptive;
  yard.budget.per_second = 8;
  yard.slo = 300ms;
  dock.slo = 400ms;
  const Workload workload = workload_of({gates, yard, dock});
  for (const std::size_t devices : {1U, 2U, 3U, 7U, 10U}) {
    const Workload share = share_of_device(workload, devices);
    const SimulatedSite site = site_of(workload, cpu_profile(), devices);
    std::vector<Duration> slos, want;
    for (const SimulatedCamera& camera : site.devices[0].cameras)
      want.push_back(camera.dispatch.slo);
    for (const CameraGroup& group : share.cameras) {
      for (std::int64_t i = 0; i < group.count; ++i) slos.push_back(group.slo);
      if (group.budget.per_second) {
        EXPECT_NEAR(inferred_share(group), .2, 1e-9);
      }
    }
    EXPECT_EQ(slos, want) << devices;
  }
}

}  // namespace
}  // namespace framemill
