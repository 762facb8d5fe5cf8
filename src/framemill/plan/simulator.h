#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/workload.h"
#include "framemill/plan/simulated_device.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// What happens to a site while it is simulated; what changes does so after a third of the time.
enum class Scenario {
  kSteady,      ///< nothing
  kAllActive,   ///< something moves in front of every camera all the time
  kBurst,       ///< twice the frames for 30 s
  kDeviceLost,  ///< the first device; its cameras are with the others a second later
  kFlood,       ///< one camera sends twenty times its frames, all the time
  kThermal,     ///< all devices do 20 % less
  kColdSwitch,  ///< all devices stand still for 2 s at once while they load another model
};
inline constexpr std::array kScenarios{
    Scenario::kSteady, Scenario::kAllActive, Scenario::kBurst,     Scenario::kDeviceLost,
    Scenario::kFlood,  Scenario::kThermal,   Scenario::kColdSwitch};
[[nodiscard]] std::string_view to_string(Scenario scenario);
/// Empty: there is none of that name.
[[nodiscard]] std::optional<Scenario> scenario_of(std::string_view name);

/// A workload spread over devices, ready to be run.
struct SimulatedSite {
  std::vector<SimulatedDevice> devices;
  std::string devices_reason;  ///< why so many, for people
  double demand_per_s = 0;     ///< inferences a second asked for
  double capacity_per_s = 0;   ///< of all devices at this mix of models
};

inline constexpr std::int64_t kSimulatedCamerasMax = 100'000;
inline constexpr double kSimulatedFramesMax = 2e9;

/// Deals the cameras of `workload` to `devices` devices, which all run all its models; without
/// `devices` to ceil(redundancy x demand / capacity of one), at most one a camera. Each group's
/// model is looked up among `profiles` by name and, where given, precision; a group that names none
/// takes the only profile there is. Groups of policy full with a duty below 1 run as adaptive with
/// that share.
/// With `trace` the recorded cameras are played in place of the scene model: a group's own, whose
/// ids are its name, or begin with it and "-", else all in turn; for adaptive groups those with
/// motion. Errors (kInvalidArgument): a trace without motion for an adaptive group, no cameras, no
/// profile or several for a model, a profile without distributions, an slo below the fastest
/// service time (says the least possible), more than kSimulatedCamerasMax cameras or
/// kSimulatedFramesMax frames in `length`.
[[nodiscard]] Result<SimulatedSite> make_site(const Workload& workload,
                                              std::span<const DeviceProfile> profiles,
                                              std::optional<std::size_t> devices, Duration length,
                                              std::uint64_t seed,
                                              std::shared_ptr<const SceneTrace> trace = nullptr);

struct SimulationResult {
  Scenario scenario = Scenario::kSteady;
  Duration length{0};
  DeviceFigures total;
  double busiest = 0;  ///< occupancy of the busiest device, 0..1
};

/// Runs the site through a scenario, its devices on as many threads as the machine has cores. The
/// same site gives the same result, on any number of threads.
[[nodiscard]] SimulationResult simulate(const SimulatedSite& site, Scenario scenario);

/// The bars of scheduling, for our policy or a baseline, on one device of the site's first profile
/// at twice its capacity, with cameras of policy full like the first ones of the site.
struct BarFigures {
  std::string_view policy;
  double goodput = 0;         ///< inferred in time, of capacity
  double p50_of_slo = 0;      ///< median latency of inferred answers over the slo
  double gap_of_mean = 0;     ///< between inferences in time of a camera at p99.9, over their mean
  double after_slowdown = 0;  ///< goodput of capacity, from 1 s after a 25 % slowdown on
  double critical_on_time = 0;  ///< share of the frames of critical cameras, each seventh
};
[[nodiscard]] std::vector<BarFigures> measure_bars(const SimulatedSite& site, Duration length);

}  // namespace framemill
