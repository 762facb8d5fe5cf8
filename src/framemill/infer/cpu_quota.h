#pragma once

#include <cstddef>

namespace framemill {

/// Cores this process may use: those of its affinity mask, and no more than the container's CPU
/// quota (cgroup v2), rounded up. At least 1.
[[nodiscard]] std::size_t usable_core_count();

}  // namespace framemill
