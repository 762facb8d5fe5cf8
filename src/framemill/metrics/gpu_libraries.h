#pragma once

#include <map>
#include <string>

namespace framemill {

/// Versions of NVIDIA's libraries that this process has loaded by now, by name: "cudart", "cudnn",
/// "tensorrt", "tensorrt_rtx". What is not loaded, or tells no version, is absent. Any thread.
[[nodiscard]] std::map<std::string, std::string> loaded_gpu_libraries();

}  // namespace framemill
