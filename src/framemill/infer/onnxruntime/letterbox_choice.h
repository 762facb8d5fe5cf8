#pragma once

#include <memory>
#include <string>

#include "framemill/infer/backend.h"
#include "framemill/infer/cuda/cuda_letterbox.h"
#include "framemill/infer/device_name.h"
#include "framemill/infer/onnxruntime/ort_library.h"

namespace framemill {

/// The folder to take NVIDIA's driver (libcuda.so.1) and run-time compiler (libnvrtc.so*) from, if
/// the environment names one; else they are the system's, and those beside ONNX Runtime.
inline constexpr const char* kCudaVariable = "FRAMEMILL_CUDA";

/// Who letterboxes a model's pictures.
struct LetterboxChoice {
  std::shared_ptr<const CudaLetterbox> on_device;  ///< null: the host
  std::string where = "host";                      ///< "host", "cuda:0"
  std::string note;  ///< why the device that was to do it does not; empty: nothing to say
};

/// The device of a model that runs on one (with rtx only if asked for), the host for others, or
/// CUDA's first device for a model on the CPU if asked for. What is missing ends on the host, with
/// a note.
[[nodiscard]] LetterboxChoice choose_letterbox(LetterboxOn wanted, const OnnxDevice& device,
                                               OnnxRuntimeLibrary& library);

}  // namespace framemill
