#pragma once

#include <map>
#include <span>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/plan/service_draws.h"
#include "framemill/plan/simulated_device.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// What all cameras of `device` ask of it, with what a rate_factor makes of them.
[[nodiscard]] DeviceLoad load_of(const SimulatedDevice& device);

/// How long batches of a device's models take under a load; each load is looked up once. Not
/// thread-safe.
class LaneTable {
 public:
  /// `profiles`: by lane; outlives the table.
  explicit LaneTable(std::span<const DeviceProfile> profiles) : profiles_(profiles) {}

  /// Errors: those of ServiceDraws::create().
  Result<std::vector<ServiceDraws>> find(const DeviceLoad& load);
  /// Of profiles that find() has taken before.
  [[nodiscard]] std::vector<ServiceDraws> at(const DeviceLoad& load);

 private:
  const std::span<const DeviceProfile> profiles_;
  std::map<DeviceLoad, std::vector<ServiceDraws>> lanes_;
};

}  // namespace framemill
