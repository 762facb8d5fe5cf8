#include "framemill/infer/cpu_quota.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

namespace framemill {

std::size_t usable_core_count(const std::filesystem::path& root) {
  std::size_t count = std::max(1U, std::thread::hardware_concurrency());  // knows the affinity mask
  // "max 100000" or "150000 100000": microseconds of CPU per period. Containers see their own
  // group.
  std::ifstream file(root / "sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (file >> quota >> period && quota != "max" && period > 0) {
    const double cores = std::strtod(quota.c_str(), nullptr) / period;
    if (cores > 0) count = std::min(count, static_cast<std::size_t>(std::ceil(cores)));
  }
  return std::max<std::size_t>(count, 1);
}

}  // namespace framemill
