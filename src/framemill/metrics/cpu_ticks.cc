#include "framemill/metrics/cpu_ticks.h"

#include <fstream>
#include <string>

namespace framemill {

std::optional<CpuTicks> read_cpu_ticks(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, io = 0, irq = 0, soft = 0, steal = 0;
  if (!(file >> name >> user >> nice >> system >> idle >> io >> irq >> soft >> steal) ||
      name != "cpu")
    return std::nullopt;
  const double busy = user + nice + system + irq + soft + steal;
  return CpuTicks{busy, busy + idle + io};
}

}  // namespace framemill
