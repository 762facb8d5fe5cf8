#pragma once

#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/engine/fingerprint.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// Makes `model` run as its profile was measured: by the same runtime, on the same device and, as
/// far as the profile says so, in the same arithmetic. What a profile does not say stays "auto".
void set_as_profiled(const DeviceProfile& profile, ModelSettings& model);

/// Nothing where the model on disk is the one that was profiled, in all its files. Errors:
/// kInvalidArgument, which names those files; those of hash_model().
[[nodiscard]] Result<void> check_model(const ModelSettings& model, const DeviceProfile& profile);

/// A device as it is found here, and the fingerprint of model and machine.
struct DeviceHere {
  std::string device_name;
  Fingerprint environment;
};

/// Loads `model` to see what it runs on. Errors: those of Detector::load().
[[nodiscard]] Result<DeviceHere> find_device(const ModelSettings& model);

/// What was another on the machine that was profiled, though its figures may still hold; for
/// people. Errors: kInvalidArgument where they cannot: another device, or a processor with another
/// number of cores.
[[nodiscard]] Result<std::vector<std::string>> compare_machine(const DeviceProfile& profile,
                                                               const DeviceHere& here);

}  // namespace framemill
