#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/workload.h"
#include "framemill/plan/simulated_device.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// What a group runs as: policy full with a `duty` below 1 is what adaptive would make of it.
[[nodiscard]] PolicyKind policy_of(const CameraGroup& group);

/// The place among `profiles` of what `group` runs on: the only one of its model (is_model_named())
/// and, where given, precision. Errors: kInvalidArgument where there is none, or several.
[[nodiscard]] Result<std::size_t> find_profile(const CameraGroup& group,
                                               std::span<const DeviceProfile> profiles);

/// What the first of `devices` equal devices gets of `workload`, to which cameras are dealt in
/// turn; no other gets more. Groups of which it gets no camera are left out.
/// Requires 1 <= devices <= cameras.
[[nodiscard]] Workload share_of_device(const Workload& workload, std::size_t devices);

/// A workload spread over devices, ready to be run.
struct SimulatedSite {
  std::vector<SimulatedDevice> devices;
  std::vector<DeviceProfile> profiles;  ///< of the device, by lane
  std::string device_name;              ///< as it calls itself
  std::string devices_reason;           ///< why so many, for people
  double demand_per_s = 0;              ///< inferences a second asked for
  double capacity_per_s = 0;            ///< of all devices at this mix of models
};

inline constexpr std::int64_t kSimulatedCamerasMax = 100'000;
inline constexpr double kSimulatedFramesMax = 2e9;

/// Deals the cameras of `workload` to `devices` devices, which all run all its models; without
/// `devices` to as many as plan_capacity() counts of the device that was profiled, at most one a
/// camera. Each group's model is looked up by find_profile(). How long batches take is what was
/// measured at the load that a device's own cameras make.
/// With `trace` the recorded cameras are played in place of the scene model: a group's own, whose
/// ids are its name, or begin with it and "-", else all in turn; for adaptive groups those with
/// motion. Errors (kInvalidArgument): a trace without motion for an adaptive group, no cameras, no
/// profile or several for a model, profiles of different devices, a profile without distributions,
/// an slo below the fastest service time (says the least possible), a workload that cannot be
/// planned where `devices` is not given, more than kSimulatedCamerasMax cameras or
/// kSimulatedFramesMax frames in `length`.
[[nodiscard]] Result<SimulatedSite> make_site(const Workload& workload,
                                              std::span<const DeviceProfile> profiles,
                                              std::optional<std::size_t> devices, Duration length,
                                              std::uint64_t seed,
                                              std::shared_ptr<const SceneTrace> trace = nullptr);

}  // namespace framemill
