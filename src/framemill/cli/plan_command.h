#pragma once

#include <string>
#include <vector>

namespace framemill {

/// `framemill plan WORKLOAD.yaml --profile P.json...`: prints the GPU resource list. Returns the
/// exit status: 0 a plan, 2 wrong usage, input, or no device that could serve the workload.
[[nodiscard]] int plan_command(const std::vector<std::string>& args);

}  // namespace framemill
