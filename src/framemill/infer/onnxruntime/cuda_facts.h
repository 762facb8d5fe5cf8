#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

/// A graphics device as CUDA's driver tells of it.
struct CudaDevice {
  std::string name;            ///< "NVIDIA H200"
  int compute_capability = 0;  ///< 10 * major + minor: 90
  std::uint64_t memory_bytes = 0;
};

/// The driver and its devices, in CUDA's order.
struct CudaFacts {
  int driver_version = 0;  ///< of CUDA: 1000 * major + 10 * minor, 13000
  /// The driver's own, as NVML tells it: "580.95.05"; empty: not known.
  std::string driver_release;
  std::vector<CudaDevice> devices;
};

/// Asks the driver, which is loaded while the program runs; about 100 ms the first time. `library`:
/// another one in tests. Any thread. Errors: kUnsupported, with what is missing: the driver, or a
/// device ("no CUDA device: ...").
[[nodiscard]] Result<CudaFacts> read_cuda_facts(const std::string& library = "libcuda.so.1");

}  // namespace framemill
