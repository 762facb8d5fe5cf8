#pragma once

#include <cstddef>
#include <filesystem>

namespace framemill {

/// Cores this process may use: those of its affinity mask, and no more than the container's CPU
/// quota (cgroup v2), rounded up. At least 1. `root`: of the quota, in place of "/", for tests.
[[nodiscard]] std::size_t usable_core_count(const std::filesystem::path& root = "/");

}  // namespace framemill
