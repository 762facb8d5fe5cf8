#pragma once

#include <filesystem>
#include <optional>

namespace framemill {

/// Time of all cores since the machine started, in ticks of the kernel (sysconf(_SC_CLK_TCK)).
struct CpuTicks {
  double busy = 0;   ///< stolen by other virtual machines included; idle, waiting for disks not
  double total = 0;  ///< busy, idle and waiting
};

/// The first line of proc/stat below `root`, which is / but in tests; empty where there is none.
[[nodiscard]] std::optional<CpuTicks> read_cpu_ticks(const std::filesystem::path& root);

}  // namespace framemill
