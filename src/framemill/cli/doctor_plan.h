#pragma once

#include <vector>

#include "framemill/cli/doctor_report.h"

namespace framemill {

/// Redundancy with which a reserve is asked for: the default of a workload file.
inline constexpr double kPlanReserve = 1.5;

/// Asks plan_capacity() for each device that a model of the report runs on, whether one of it is
/// enough for its cameras: those that answered, with a model that loads and an SLO above its p95.
/// With plan's share of the knee (eta), its SLO and its limits; once without redundancy, once with
/// its usual one. What was not measured in a profile stands in as it was tried: single pictures,
/// p95 as every latency. Decoding counts beside the models of the processor, and there for their
/// own cameras alone; the simple sum has all of it. Policy adaptive without a budget takes what is
/// left, so it counts as a thousandth. Pure.
[[nodiscard]] std::vector<DevicePlan> plan_devices(const DoctorReport& report);

}  // namespace framemill
