#pragma once

#include <cstddef>
#include <string>

namespace framemill {

/// How a runtime uses the cores.
struct CpuPlan {
  std::size_t streams = 1;  ///< inferences at once
  std::size_t threads = 1;  ///< over all streams; at least one each
};

/// Streams and threads of inference on a CPU; 0: chosen from the cores. Pure but for their count.
[[nodiscard]] CpuPlan plan_cpu(std::size_t streams, std::size_t threads);

/// The processor's name as the kernel tells it, "CPU" where it does not.
[[nodiscard]] std::string cpu_name();

}  // namespace framemill
