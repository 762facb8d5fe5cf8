#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/plan/simulated_device.h"
#include "framemill/plan/simulated_site.h"

namespace framemill {

/// What happens to a site while it is simulated; what changes does so after a third of the time.
enum class Scenario {
  kSteady,      ///< nothing
  kAllActive,   ///< something moves in front of every camera all the time
  kBurst,       ///< twice the frames for 30 s
  kDeviceLost,  ///< the first device; its cameras are with the others after a blind second
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
/// at twice its capacity, with cameras of policy full like the first ones of the site. What the
/// device can do and what is asked of it are those of a full device: 1 is all there is.
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
