#include "framemill/infer/memory_error.h"

#include <algorithm>
#include <array>

namespace framemill {

bool is_out_of_memory(std::string_view message) {
  constexpr std::array<std::string_view, 12> kParts{
      "out of memory", "Out of memory", "bad_alloc",
      // ONNX Runtime, and CUDA's libraries by it.
      "Failed to allocate memory", "CUDA failure 2:", "CUBLAS_STATUS_ALLOC_FAILED",
      "CUDNN_STATUS_ALLOC_FAILED",
      // OpenVINO's plug-ins for GPUs and NPUs. OpenCL calls lost devices out of resources as well:
      // then a single picture fails, too, and the device is taken out for that.
      "Exceeded max size of memory", "CL_OUT_OF_", "CL_MEM_OBJECT_ALLOCATION_FAILURE",
      "out of GPU resources", "ZE_RESULT_ERROR_OUT_OF_"};
  return std::ranges::any_of(kParts, [message](std::string_view part) {
    return message.find(part) != std::string_view::npos;
  });
}

}  // namespace framemill
