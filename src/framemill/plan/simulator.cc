#include "framemill/plan/simulator.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "framemill/base/check.h"
#include "framemill/plan/lane_table.h"

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

/// The cameras of the first device, which has come to its end, go to the others: those see nothing
/// until they are connected there, and are more work from then on.
void take_over(std::vector<SimulatedDevice>& devices, const std::vector<CameraEnd>& ends,
               Duration at, LaneTable& lanes) {
  std::size_t to = 0;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    SimulatedCamera moved = devices.front().cameras[i];
    moved.from = ends[i].next_frame;
    moved.until = Duration::max();
    moved.phase = 0;
    moved.taken_over = TakenOver{at + kFailover, ends[i].answered_at};
    devices[1 + to++ % (devices.size() - 1)].cameras.push_back(moved);
  }
  for (std::size_t i = 1; i < devices.size(); ++i) {
    devices[i].lanes_changes = {{at + kFailover, lanes.at(load_of(devices[i]))}};
  }
}

/// What the first device did until it was lost; the others are what is left to be run.
DeviceFigures lose_first_device(std::vector<SimulatedDevice>& devices, Duration at,
                                LaneTable& lanes) {
  SimulatedDevice& lost = devices.front();
  lost.speed = {{at, 0}};
  for (SimulatedCamera& camera : lost.cameras) camera.until = at;
  DeviceFigures figures = simulate_device(lost);
  take_over(devices, figures.ends, at, lanes);
  devices.erase(devices.begin());
  return figures;
}

void set_scene(std::vector<SimulatedDevice>& devices, Scenario scenario, Duration at,
               LaneTable& lanes) {
  if (scenario == Scenario::kFlood) {
    devices.front().cameras.front().rate_factor = kFloodFactor;
    devices.front().lanes = lanes.at(load_of(devices.front()));
  }
  for (SimulatedDevice& device : devices) {
    if (scenario == Scenario::kAllActive) device.scenes.is_always_active = true;
    if (scenario == Scenario::kBurst) {
      device.rate = {{at, kBurstFactor}, {at + kBurstLength, 1}};
      device.lanes_changes = {{at, lanes.at(kBurstFactor * load_of(device))},
                              {at + kBurstLength, device.lanes}};
    }
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

SimulationResult simulate(const SimulatedSite& site, Scenario scenario) {
  CHECK(!site.devices.empty());
  std::vector<SimulatedDevice> devices = site.devices;
  SimulationResult result{.scenario = scenario, .length = devices.front().length};
  const auto add = [&result](const DeviceFigures& figures) {
    result.busiest = std::max(result.busiest, figures.busy_s / figures.slot_s);
    result.total.merge(figures);
  };
  const Duration at = result.length / 3;
  LaneTable lanes(site.profiles);
  if (scenario != Scenario::kDeviceLost) {
    set_scene(devices, scenario, at, lanes);
  } else if (devices.size() > 1) {
    add(lose_first_device(devices, at, lanes));
  } else {
    devices.front().speed = {{at, 0}};
  }
  for (const DeviceFigures& figures : run_all(devices)) add(figures);
  return result;
}

std::vector<BarFigures> measure_bars(const SimulatedSite& site, Duration length) {
  const SimulatedCamera& like = site.devices.front().cameras.front();
  SimulatedDevice overloaded;
  constexpr double kFull = std::numeric_limits<double>::infinity();
  overloaded.lanes = {
      LaneTable(site.profiles).at({kFull, load_of(site.devices.front()).cores})[like.lane]};
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
