#include "framemill/cli/verify_decoding.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

bool is_on_card(const CameraGroup& group, const std::vector<DeviceProfile>& profiles) {
  const auto profile = std::ranges::find(profiles, group.model, &DeviceProfile::model);
  CHECK(profile != profiles.end());
  return profile->device != "CPU";
}

}  // namespace

void settle_decoding(Workload& workload, const std::vector<DeviceProfile>& profiles,
                     const std::function<std::string()>& why_none,
                     std::vector<std::string>& notes) {
  std::optional<std::string> reason;
  for (CameraGroup& group : workload.cameras) {
    if (group.decode == "cpu") continue;
    if (!is_on_card(group, profiles)) {
      group.decode = "cpu";
      continue;
    }
    if (!reason) reason = why_none();
    if (reason->empty()) continue;
    group.decode = "cpu";
    notes.push_back(
        fmt::format("cameras[{}].decode: auto, but the processor decodes here, which is what is "
                    "predicted and played: {}",
                    group.name, *reason));
  }
}

}  // namespace framemill
