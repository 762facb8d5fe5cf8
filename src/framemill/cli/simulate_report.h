#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framemill/config/workload.h"
#include "framemill/plan/read_scenes.h"
#include "framemill/plan/simulator.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// What one call of `simulate` found out.
struct SimulateReport {
  std::string workload;
  std::uint64_t seed = 1;
  Duration length{0};
  std::optional<RecordedScenes> trace;  ///< where cameras are played from one
  std::vector<DeviceProfile> profiles;
  std::string device_name;
  std::size_t devices = 0;
  std::string devices_reason;
  std::optional<double> eta;             ///< none: the devices were given
  std::vector<DeviceLayout> layouts;     ///< empty: all devices are alike
  std::optional<CardDecoding> decoding;  ///< none: the device decodes with its own cores
  double demand_per_s = 0;
  double capacity_per_s = 0;
  std::vector<SimulationResult> results;
  std::vector<BarFigures> bars;  ///< empty: not asked for
};

/// One line a scenario and class, then the bars; for people.
[[nodiscard]] std::string simulate_table(const SimulateReport& report);
/// The same and the counts of all outcomes, as a `framemill.simulation/1` document.
[[nodiscard]] std::string simulate_json(const SimulateReport& report);

}  // namespace framemill
