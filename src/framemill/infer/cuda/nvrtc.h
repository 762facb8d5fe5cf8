#pragma once

#include <string>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

/// A source text and the headers that it includes by name.
struct CudaSource {
  struct Header {
    std::string name;  ///< as it stands between the quotes
    const char* text;
  };
  std::string name;  ///< for messages
  const char* text;
  std::vector<Header> headers;
};

/// The file names of NVIDIA's run-time compiler in `folders`, then those that the linker finds.
[[nodiscard]] std::vector<std::string> nvrtc_libraries(const std::vector<std::string>& folders);

/// Compiles `source` for a device of `compute_capability` (10 * major + minor) with the first of
/// `libraries` that loads: machine code of that device, which every driver of the compiler's major
/// version takes. A GPU is not needed. About .2 s. Any thread. Errors: kUnsupported where no
/// library loads, or it does not know the device; kInternal with the compiler's log.
[[nodiscard]] Result<std::vector<char>> compile_cuda(const CudaSource& source,
                                                     int compute_capability,
                                                     const std::vector<std::string>& libraries);

}  // namespace framemill
