#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// What the machine has that matters to framemill, as the system shows it.
struct MachineFacts {
  std::string cpu;                        ///< as the processor calls itself; "unknown"
  std::vector<std::string> cpu_features;  ///< of those that speed inference up: "avx2", ...
  std::size_t cores = 1;                  ///< usable: affinity and container quota
  std::size_t machine_cores = 1;          ///< online
  std::int64_t memory_bytes = 0;
  std::int64_t memory_available_bytes = 0;
  std::optional<std::int64_t> memory_limit_bytes;  ///< of the container (cgroup v2 or v1)
  std::optional<std::int64_t> memory_used_bytes;   ///< of that limit
  double load_average = 0;  ///< of the last minute: processes that run or want to
  std::string kernel;
  std::optional<std::string> governor;
  std::vector<std::string> gpus;      ///< device files: "/dev/dri/renderD128", "/dev/nvidia0"
  std::vector<std::string> locked;    ///< of those, the ones this user may not open
  std::optional<std::string> nvidia;  ///< its kernel driver's version line
};
/// `root`: in place of "/", for tests.
[[nodiscard]] MachineFacts read_machine_facts(const std::filesystem::path& root = "/");

}  // namespace framemill
