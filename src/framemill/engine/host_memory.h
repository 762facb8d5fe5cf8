#pragma once

#include <cstdint>
#include <filesystem>

namespace framemill {

/// The memory that this process may take before the kernel ends one.
struct HostMemory {
  std::int64_t total_bytes = 0;  ///< 0: not known
  std::int64_t available_bytes = 0;
};

/// The scarcest of the machine's and of the groups' that this process is in: a container's, a
/// service's, or a slice's above it. Pages of files that nobody has used lately count as available.
/// Linux; cgroup v2, and the container's own under v1. `root`: in place of "/", for tests. Cost:
/// some 20 us.
[[nodiscard]] HostMemory read_host_memory(const std::filesystem::path& root = "/");

/// Less than a twentieth is left. Pure.
[[nodiscard]] bool is_short(const HostMemory& memory);

}  // namespace framemill
