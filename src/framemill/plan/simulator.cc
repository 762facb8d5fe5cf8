#include "framemill/plan/simulator.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/plan/processor_share.h"
#include "framemill/sched/split_mix.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

constexpr std::array<std::string_view, kScenarios.size()> kScenarioNames{
    "steady", "all-active", "burst", "device-lost", "flood", "thermal", "cold-switch"};
constexpr double kFloodFactor = 20;
constexpr double kBurstFactor = 2;
constexpr Duration kBurstLength = 30s;
constexpr double kThermalFactor = .8;
constexpr Duration kColdStart = 2s;
constexpr Duration kFailover = 1s;

Error wrong(std::string message) { return Error(ErrorCode::kInvalidArgument, std::move(message)); }

std::string list_profiles(std::span<const DeviceProfile> profiles) {
  std::string list;
  for (const DeviceProfile& profile : profiles) {
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", profile.model, profile.precision);
  }
  return list;
}

/// The place in `profiles` of what `group` runs on.
Result<std::size_t> find_profile(const CameraGroup& group,
                                 std::span<const DeviceProfile> profiles) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    const bool is_model = group.model.empty() || profiles[i].model == group.model;
    const bool is_precision = group.precision.empty() || profiles[i].precision == group.precision;
    if (is_model && is_precision) found.push_back(i);
  }
  if (found.size() == 1) return found.front();
  const std::string wanted =
      group.model.empty()
          ? std::string("a model that is not named")
          : fmt::format("{}{}{}", group.model, group.precision.empty() ? "" : " ", group.precision);
  if (found.empty()) {
    return fail(
        wrong(fmt::format("cameras[{}] run {}, and no profile is of it (given: {}); measure "
                          "it with `framemill bench`",
                          group.name, wanted, list_profiles(profiles))));
  }
  return fail(
      wrong(fmt::format("cameras[{}] run {}, and several profiles fit (given: {}); give "
                        "one, or name `model` and `precision` in the workload",
                        group.name, wanted, list_profiles(profiles))));
}

/// The load of one device that did all of it, 1: just full.
struct Load {
  double devices = 0;
  double demand_per_s = 0;
};

/// Groups of policy full with a duty are what adaptive would make of them.
PolicyKind policy_of(const CameraGroup& group) {
  const bool is_saved = inferred_share(group) < 1;
  return group.policy == PolicyKind::kFull && is_saved ? PolicyKind::kAdaptive : group.policy;
}

/// What a sampled frame goes through before the scheduler sees it, as far as it was measured.
Duration ingest_of(const CameraGroup& group, const DeviceProfile& profile) {
  const double carry_s =
      profile.camera && policy_of(group) == PolicyKind::kAdaptive ? profile.camera->carry_s : 0;
  return from_seconds(decode_core_s(profile.decode, group.codec, group.resolution).value_or(0) +
                      carry_s);
}

/// Of `group` on one of `devices`.
CamerasBeside beside_of(const CameraGroup& group, std::size_t devices) {
  return {.count = static_cast<double>(group.count) / static_cast<double>(devices),
          .codec = group.codec,
          .size = group.resolution,
          .fps = group.fps,
          .rate_hz = group.rate_hz,
          .is_carried = policy_of(group) == PolicyKind::kAdaptive};
}

SimulatedCamera camera_of(const CameraGroup& group, std::size_t lane) {
  return {.dispatch = {.policy = policy_of(group),
                       .priority = group.priority,
                       .slo = group.slo,
                       .period = from_seconds(1 / group.rate_hz),
                       .model = lane},
          .lane = static_cast<LaneIndex>(lane),
          .fps = group.fps};
}

Result<void> check_slo(const CameraGroup& group, const ServiceDraws& model) {
  const double least = model.quantile_s(1, 1, .5);
  if (to_seconds(group.slo) > least) return {};
  return fail(wrong(fmt::format(
      "cameras[{}].slo: {:g} ms is less than one picture takes on this device, alone and half of "
      "the time ({:.1f} ms); above {:.0f} ms it is possible at all",
      group.name, to_ms(group.slo), 1e3 * least, std::ceil(1e3 * least))));
}

/// The recorded cameras that play those of `group`.
Result<std::vector<std::size_t>> find_traced(const CameraGroup& group, const SceneTrace& trace) {
  const bool is_motion_needed = camera_of(group, 0).dispatch.policy == PolicyKind::kAdaptive;
  std::vector<std::size_t> own, all;
  for (std::size_t i = 0; i < trace.cameras.size(); ++i) {
    const TracedCamera& camera = trace.cameras[i];
    if (is_motion_needed && !camera.has_motion) continue;
    all.push_back(i);
    if (camera.id == group.name || camera.id.starts_with(group.name + "-")) own.push_back(i);
  }
  if (!own.empty()) return own;
  if (!all.empty()) return all;
  return fail(wrong(fmt::format(
      "cameras[{}] are adaptive, and no camera of the trace was: it says nothing about motion; "
      "record one with policy adaptive, or leave --trace out",
      group.name)));
}

/// Fidelity counts detections, so cameras with more objects count for more: those of `camera` over
/// the mean of `all`.
double weight_of(std::size_t camera, const std::vector<std::size_t>& all, const SceneTrace& trace) {
  double sum = 0;
  for (const std::size_t other : all) sum += trace.cameras[other].sure_objects;
  if (sum <= 0) return 1;
  return trace.cameras[camera].sure_objects * static_cast<double>(all.size()) / sum;
}

/// Devices side by side on all cores.
std::vector<DeviceFigures> run_all(const std::vector<SimulatedDevice>& devices) {
  std::vector<DeviceFigures> figures(devices.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < devices.size(); i = next++) {
      figures[i] = simulate_device(devices[i]);
    }
  };
  std::vector<std::thread> threads;
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  for (std::size_t i = 1; i < std::min(cores, devices.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return figures;
}

/// The cameras of the first device go to the others.
void lose_first_device(std::vector<SimulatedDevice>& devices, Duration at) {
  devices.front().speed = {{at, 0}};
  if (devices.size() < 2) return;
  std::size_t to = 0;
  for (SimulatedCamera& camera : devices.front().cameras) {
    SimulatedCamera moved = camera;
    camera.until = at;
    moved.from = at + kFailover;
    devices[1 + to++ % (devices.size() - 1)].cameras.push_back(moved);
  }
}

void set_scene(std::vector<SimulatedDevice>& devices, Scenario scenario) {
  const Duration at = devices.front().length / 3;
  if (scenario == Scenario::kDeviceLost) lose_first_device(devices, at);
  if (scenario == Scenario::kFlood) devices.front().cameras.front().rate_factor = kFloodFactor;
  for (SimulatedDevice& device : devices) {
    if (scenario == Scenario::kAllActive) device.scenes.is_always_active = true;
    if (scenario == Scenario::kBurst) device.rate = {{at, kBurstFactor}, {at + kBurstLength, 1}};
    if (scenario == Scenario::kThermal) device.speed = {{at, kThermalFactor}};
    if (scenario == Scenario::kColdSwitch) device.speed = {{at, 0}, {at + kColdStart, 1}};
  }
}

}  // namespace

std::string_view to_string(Scenario scenario) {
  return kScenarioNames[static_cast<std::size_t>(scenario)];
}

std::optional<Scenario> scenario_of(std::string_view name) {
  const auto* const found = std::ranges::find(kScenarioNames, name);
  if (found == kScenarioNames.end()) return std::nullopt;
  return kScenarios[static_cast<std::size_t>(found - kScenarioNames.begin())];
}

Result<SimulatedSite> make_site(const Workload& workload, std::span<const DeviceProfile> profiles,
                                std::optional<std::size_t> devices, Duration length,
                                std::uint64_t seed, std::shared_ptr<const SceneTrace> trace) {
  std::int64_t cameras = 0;
  double frames = 0;
  for (const CameraGroup& group : workload.cameras) {
    cameras += group.count;
    frames += static_cast<double>(group.count) * group.rate_hz * to_seconds(length);
  }
  if (cameras == 0) return fail(wrong("the workload has no cameras; there is nothing to simulate"));
  if (cameras > kSimulatedCamerasMax || frames > kSimulatedFramesMax) {
    return fail(wrong(fmt::format(
        "{} cameras with {:.3g} frames in {:g} s are more than can be simulated ({} cameras, {:g} "
        "frames); simulate a part of the site, or for less time: `framemill plan` counts any "
        "number",
        cameras, frames, to_seconds(length), kSimulatedCamerasMax, kSimulatedFramesMax)));
  }
  std::vector<std::size_t> lane_of_profile(profiles.size(), profiles.size());
  std::vector<std::size_t> used;
  std::vector<std::size_t> lane_of_group;
  for (const CameraGroup& group : workload.cameras) {
    const Result<std::size_t> profile = find_profile(group, profiles);
    if (!profile) return fail(profile.error());
    if (lane_of_profile[*profile] == profiles.size()) {
      lane_of_profile[*profile] = used.size();
      used.push_back(*profile);
    }
    lane_of_group.push_back(lane_of_profile[*profile]);
  }
  const auto make_lanes = [&](double cores, double load) -> Result<std::vector<ServiceDraws>> {
    std::vector<ServiceDraws> lanes;
    for (const std::size_t profile : used) {
      Result<ServiceDraws> lane = ServiceDraws::create(profiles[profile], cores, load);
      if (!lane) return fail(lane.error());
      lanes.push_back(*std::move(lane));
    }
    return lanes;
  };
  Result<std::vector<ServiceDraws>> lanes = make_lanes(0, 1);
  if (!lanes) return fail(lanes.error());

  Load load;
  double inferred = 0;  // of the frames that a budget or a duty limits
  double limited = 0;
  for (std::size_t i = 0; i < workload.cameras.size(); ++i) {
    const CameraGroup& group = workload.cameras[i];
    const ServiceDraws& model = (*lanes)[lane_of_group[i]];
    if (const Result<void> checked = check_slo(group, model); !checked) {
      return fail(checked.error());
    }
    load.demand_per_s += inferences_per_s(group);
    load.devices += inferences_per_s(group) / model.capacity_per_s();
    if (camera_of(group, 0).dispatch.policy != PolicyKind::kFull) {
      inferred += inferences_per_s(group);
      limited += static_cast<double>(group.count) * group.rate_hz;
    }
  }
  SimulatedSite site;
  site.demand_per_s = load.demand_per_s;
  const double wanted = std::ceil(workload.redundancy * load.devices - 1e-9);
  const auto enough =
      static_cast<std::size_t>(std::clamp(wanted, 1.0, static_cast<double>(cameras)));
  const std::size_t count = devices.value_or(enough);
  if (count < 1 || count > static_cast<std::size_t>(cameras)) {
    return fail(
        wrong(fmt::format("{} devices for {} cameras: give 1 to {}", count, cameras, cameras)));
  }
  const double one = load.devices > 0 ? load.demand_per_s / load.devices : 0;
  site.devices_reason = devices ? std::string("as given")
                                : fmt::format("{:g} x {:.1f}/s over {:.1f}/s a device",
                                              workload.redundancy, load.demand_per_s, one);
  site.devices.resize(count);
  const DeviceProfile& host = profiles[used.front()];
  double cores = 0;
  if (host.device == "CPU") {  // which decodes, too
    std::vector<CamerasBeside> beside;
    for (const CameraGroup& group : workload.cameras) beside.push_back(beside_of(group, count));
    cores = cores_beside(host, beside);
  }
  lanes = make_lanes(cores, load.devices / static_cast<double>(count));
  CHECK(lanes.has_value());
  double devices_after = 0;
  for (std::size_t i = 0; i < workload.cameras.size(); ++i) {
    devices_after +=
        inferences_per_s(workload.cameras[i]) / (*lanes)[lane_of_group[i]].capacity_per_s();
  }
  site.capacity_per_s = static_cast<double>(count) * load.demand_per_s / devices_after;
  SplitMix seeds(seed);
  for (SimulatedDevice& device : site.devices) {
    device.lanes = *lanes;
    device.length = length;
    device.seed = seeds();
    if (limited > 0) device.share = std::clamp(inferred / limited, 1e-6, 1.0);
    device.trace = trace;
  }
  std::size_t to = 0;
  for (std::size_t i = 0; i < workload.cameras.size(); ++i) {
    SimulatedCamera camera = camera_of(workload.cameras[i], lane_of_group[i]);
    camera.ingest = ingest_of(workload.cameras[i], host);
    std::vector<std::size_t> traced;
    if (trace) {
      Result<std::vector<std::size_t>> found = find_traced(workload.cameras[i], *trace);
      if (!found) return fail(found.error());
      traced = *std::move(found);
    }
    for (std::int64_t n = 0; n < workload.cameras[i].count; ++n) {
      if (trace) {
        camera.traced = traced[static_cast<std::size_t>(n) % traced.size()];
        camera.weight = weight_of(*camera.traced, traced, *trace);
      }
      site.devices[to++ % count].cameras.push_back(camera);
    }
  }
  return site;
}

SimulationResult simulate(const SimulatedSite& site, Scenario scenario) {
  CHECK(!site.devices.empty());
  std::vector<SimulatedDevice> devices = site.devices;
  set_scene(devices, scenario);
  SimulationResult result{.scenario = scenario, .length = devices.front().length};
  for (const DeviceFigures& figures : run_all(devices)) {
    result.busiest = std::max(result.busiest, figures.busy_s / figures.slot_s);
    result.total.merge(figures);
  }
  if (scenario == Scenario::kDeviceLost) {  // a camera that moved is one camera
    const std::size_t moved = devices.size() > 1 ? devices.front().cameras.size() : 0;
    for (std::size_t i = 0; i < moved; ++i) {
      --result.total.classes[static_cast<std::size_t>(devices.front().cameras[i].dispatch.priority)]
            .cameras;
    }
  }
  return result;
}

std::vector<BarFigures> measure_bars(const SimulatedSite& site, Duration length) {
  const SimulatedCamera& like = site.devices.front().cameras.front();
  SimulatedDevice overloaded;
  overloaded.lanes = {site.devices.front().lanes[like.lane]};
  overloaded.length = length;
  overloaded.seed = site.devices.front().seed;
  const double capacity = overloaded.lanes.front().capacity_per_s();
  const auto count = static_cast<std::size_t>(
      std::max(2.0, std::round(2 * capacity * to_seconds(like.dispatch.period))));
  SimulatedCamera camera{.dispatch = like.dispatch};
  camera.dispatch.policy = PolicyKind::kFull;
  camera.dispatch.priority = Priority::kNormal;
  camera.dispatch.model = 0;
  overloaded.cameras.assign(count, camera);
  SimulatedDevice slowed = overloaded;
  slowed.speed = {{length / 3, 1 / 1.25}};
  SimulatedDevice mixed = overloaded;
  for (std::size_t i = 0; i < count; i += 7) {
    mixed.cameras[i].dispatch.priority = Priority::kCritical;
  }
  const std::pair<std::string_view, std::optional<Baseline>> policies[] = {
      {"framemill", std::nullopt},
      {"EDF", Baseline::kEarliestDeadline},
      {"FIFO + timeout", Baseline::kFixedTimeout},
      {"round robin", Baseline::kRoundRobin}};
  std::vector<BarFigures> rows;
  for (const auto& [name, baseline] : policies) {
    overloaded.baseline = slowed.baseline = mixed.baseline = baseline;
    const std::vector<DeviceFigures> figures = run_all({overloaded, slowed, mixed});
    const ClassFigures& normal = figures[0].classes[static_cast<std::size_t>(Priority::kNormal)];
    const ClassFigures& critical =
        figures[2].classes[static_cast<std::size_t>(Priority::kCritical)];
    const auto since = [&](const DeviceFigures& device, std::int64_t from) {
      const std::vector<std::int64_t>& by_second =
          device.classes[static_cast<std::size_t>(Priority::kNormal)].inferred_by_second;
      const std::int64_t until = length / 1s;
      std::int64_t sum = 0;
      for (std::int64_t i = from; i < until; ++i) sum += by_second[static_cast<std::size_t>(i)];
      return static_cast<double>(sum) / static_cast<double>(until - from) / capacity;
    };
    const double mean_gap = normal.gap_periods.count() == 0
                                ? 0
                                : to_seconds(normal.gap_periods.sum()) /
                                      static_cast<double>(normal.gap_periods.count());
    rows.push_back(
        {.policy = name,
         .goodput = since(figures[0], 1),
         .p50_of_slo =
             to_seconds(normal.inferred_latency.percentile(.5)) / to_seconds(camera.dispatch.slo),
         .gap_of_mean =
             mean_gap > 0 ? to_seconds(normal.gap_periods.percentile(.999)) / mean_gap : 0,
         .after_slowdown =
             1.25 *
             since(figures[1], static_cast<std::int64_t>(std::ceil(to_seconds(length / 3))) + 1),
         .critical_on_time = static_cast<double>(critical.inferred_on_time) /
                             static_cast<double>(std::max<std::int64_t>(1, critical.sampled))});
  }
  return rows;
}

}  // namespace framemill
