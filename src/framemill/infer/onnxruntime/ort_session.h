#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "framemill/infer/cuda/cuda_letterbox.h"
#include "framemill/infer/onnxruntime/model_ports.h"
#include "framemill/infer/onnxruntime/ort_api.h"
#include "framemill/infer/onnxruntime/run_threads.h"

namespace framemill {

/// A model made ready on a device, and what its requests share. Constant after it was made.
struct OrtSession {
  Ort::Session session{nullptr};
  std::shared_ptr<RunThreads> threads;
  std::shared_ptr<const ModelPorts> ports;
  int cuda_index = -1;                             ///< -1: the CPU, whose memory is bound as it is
  CaptureGate* gate = nullptr;                     ///< the device's; never null once made
  std::shared_ptr<const CudaLetterbox> letterbox;  ///< null: pictures are letterboxed on the host
  /// The provider captures CUDA graphs of inputs and outputs that stay on the device.
  bool has_cuda_graphs = false;
};

}  // namespace framemill
