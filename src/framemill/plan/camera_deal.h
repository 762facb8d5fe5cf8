#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "framemill/config/workload.h"
#include "framemill/plan/capacity.h"

namespace framemill {

/// Which device of a site each camera is on: places from 0 by camera, in the order of the groups.

/// To equal devices in turn; no device gets more than the first. Requires devices >= 1.
[[nodiscard]] std::vector<std::size_t> deal_in_turn(const Workload& workload, std::size_t devices);

/// As a plan of this workload lays its devices out: a group's cameras go to the devices that run
/// its model for it, each to the one that then has the least of the inferences planned there. A
/// camera cannot be cut in two, so a device may get more than was planned, and another none: those
/// are not counted as places, which stay in the order of the layouts. O(cameras * log devices).
[[nodiscard]] std::vector<std::size_t> deal_as_laid_out(const Workload& workload,
                                                        std::span<const DeviceLayout> layouts);

}  // namespace framemill
