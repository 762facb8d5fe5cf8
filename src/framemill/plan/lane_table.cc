#include "framemill/plan/lane_table.h"

#include <utility>

#include "framemill/base/check.h"

namespace framemill {

DeviceLoad load_of(const SimulatedDevice& device) {
  DeviceLoad load;
  for (const SimulatedCamera& camera : device.cameras) load += camera.rate_factor * camera.load;
  return load;
}

Result<std::vector<ServiceDraws>> LaneTable::find(const DeviceLoad& load) {
  const auto known = lanes_.find(load);
  if (known != lanes_.end()) return known->second;
  std::vector<ServiceDraws> lanes;
  for (const DeviceProfile& profile : profiles_) {
    Result<ServiceDraws> lane = ServiceDraws::create(profile, load.cores, load.models);
    if (!lane) return fail(lane.error());
    lanes.push_back(*std::move(lane));
  }
  return lanes_.emplace(load, std::move(lanes)).first->second;
}

std::vector<ServiceDraws> LaneTable::at(const DeviceLoad& load) {
  Result<std::vector<ServiceDraws>> lanes = find(load);
  CHECK(lanes.has_value());
  return *std::move(lanes);
}

}  // namespace framemill
