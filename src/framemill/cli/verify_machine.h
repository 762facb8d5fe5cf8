#pragma once

#include <map>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// Makes `model` run as its profile was measured: by the same runtime, on the same device and, as
/// far as the profile says so, in the same arithmetic. What a profile does not say stays "auto".
void set_as_profiled(const DeviceProfile& profile, ModelSettings& model);

/// A device as it is found here, and the machine around it keyed as profiles key their fingerprint.
struct DeviceHere {
  std::string device_name;
  std::map<std::string, std::string> environment;
};

/// Loads `model` to see what it runs on. Errors: those of Detector::load().
[[nodiscard]] Result<DeviceHere> find_device(const ModelSettings& model);

/// What was another on the machine that was profiled, though its figures may still hold; for
/// people. Errors: kInvalidArgument where they cannot: another device, or a processor with another
/// number of cores.
[[nodiscard]] Result<std::vector<std::string>> compare_machine(const DeviceProfile& profile,
                                                               const DeviceHere& here);

}  // namespace framemill
