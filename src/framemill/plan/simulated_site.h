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
#include "framemill/plan/capacity.h"
#include "framemill/plan/simulated_device.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// The place among `profiles` of what `group` runs on: the only one of its model (is_model_named())
/// and, where given, precision. Errors: kInvalidArgument where there is none, or several.
[[nodiscard]] Result<std::size_t> find_profile(const CameraGroup& group,
                                               std::span<const DeviceProfile> profiles);

/// What the first of `devices` equal devices gets of `workload`, to which cameras are dealt in
/// turn; no other gets more. Groups of which it gets no camera are left out.
/// Requires 1 <= devices <= cameras.
[[nodiscard]] Workload share_of_device(const Workload& workload, std::size_t devices);

/// What decoding takes of the machines around cards; the most of any, with so many cards in each as
/// the workload says.
struct CardDecoding {
  double card = 0;                   ///< share of the decoders of a machine's first card
  double cores = 0;                  ///< of the processor of a machine
  std::optional<double> all_cores;   ///< that such a machine has
  std::vector<std::string> unknown;  ///< codecs that take no time here, as no rate of them is known
};

/// A workload spread over devices, ready to be run.
struct SimulatedSite {
  std::vector<SimulatedDevice> devices;
  std::vector<DeviceProfile> profiles;   ///< of the device, by lane
  std::string device_name;               ///< as it calls itself
  std::string devices_reason;            ///< why so many, for people
  std::optional<double> eta;             ///< with which plan counted them; none: they were given
  std::vector<DeviceLayout> layouts;     ///< of the plan, where its devices are not all alike
  std::optional<CardDecoding> decoding;  ///< none: the device is a processor, which decodes itself
  double demand_per_s = 0;               ///< inferences a second asked for
  double capacity_per_s = 0;             ///< of all devices at this mix of models
};

inline constexpr std::int64_t kSimulatedCamerasMax = 100'000;
inline constexpr double kSimulatedFramesMax = 2e9;

/// Where decoders beside cards have more to do than they can, though they are taken to keep up, or
/// nothing is known of them; one line for people, empty: neither.
[[nodiscard]] std::string decoding_shortage(const SimulatedSite& site);

struct SiteOptions {
  std::optional<std::size_t> devices;  ///< none: as plan counts them and lays them out
  std::optional<double> eta;           ///< for that count; the workload's own counts more
  Duration length{0};
  std::uint64_t seed = 1;
  std::shared_ptr<const SceneTrace> trace;
};

/// Deals the cameras of `workload` to `devices` devices, which all run all its models; without
/// `devices` to those that plan_capacity() counts of the device that was profiled, each with the
/// models that are planned on it, as deal_as_laid_out() does, and at most one a camera. Each
/// group's model is looked up by find_profile(). How long batches take is what was measured at the
/// load that a device's own cameras make.
/// Who decodes is as plan has it: a processor that infers decodes as well, and its models get what
/// that leaves; beside cards the machine's processor or the card does, see is_for_card(), and takes
/// its time, which there is always enough of: SimulatedSite::decoding says where there is not.
/// With `trace` the recorded cameras are played in place of the scene model: a group's own, whose
/// ids are its name, or begin with it and "-", else all in turn; for adaptive groups those with
/// motion. Errors (kInvalidArgument): a trace without motion for an adaptive group, no cameras, no
/// profile or several for a model, profiles of different devices, a profile without distributions,
/// an slo below the fastest service time (says the least possible), a workload that cannot be
/// planned where `devices` is not given, more than kSimulatedCamerasMax cameras or
/// kSimulatedFramesMax frames in `length`. Requires check_eta() of `eta`.
[[nodiscard]] Result<SimulatedSite> make_site(const Workload& workload,
                                              std::span<const DeviceProfile> profiles,
                                              const SiteOptions& options);

}  // namespace framemill
