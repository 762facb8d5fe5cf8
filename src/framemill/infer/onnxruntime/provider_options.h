#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/core/geometry.h"
#include "framemill/infer/device_name.h"
#include "framemill/infer/onnxruntime/cuda_facts.h"
#include "framemill/infer/runtime_choice.h"

namespace framemill {

/// What an execution provider for one session has to be told.
struct ProviderRequest {
  OnnxDevice device;
  Precision precision = Precision::kAuto;
  std::string model_hash;       ///< hex
  std::string input_name;       ///< of the model
  std::size_t batch = 1;        ///< of the session's only shape
  Size input;                   ///< likewise
  bool is_shape_fixed = false;  ///< by the model itself: then no profile is needed
  bool is_int8 = false;         ///< has quantised weights
  bool is_half = false;         ///< its weights are halves
  /// The input lies on the device, at the same place for ever.
  bool may_capture_graphs = false;
  std::string cache_dir;  ///< empty: nothing is kept
  std::string runtime;    ///< "ONNX Runtime 1.31.1"
  std::string compiler;   ///< see engine_compiler(); empty: not known
  CudaFacts cuda;
};

/// Keys and values as the provider's documentation names them.
struct ProviderOptions {
  std::vector<std::pair<std::string, std::string>> values;
  std::string cache_folder;  ///< has to exist before the session is made; empty: none
  bool has_cuda_graphs =
      false;  ///< the provider captures graphs, for inputs that stay on the device
  /// The value of `key`; empty if it is not set.
  [[nodiscard]] std::string value(std::string_view key) const;
};

/// For a device that is not the CPU. Pure. Errors: kUnsupported for a precision that the provider
/// cannot compute in.
[[nodiscard]] Result<ProviderOptions> provider_options(const ProviderRequest& request);

/// Which of the `offered` devices, those that TensorRT for RTX takes, is CUDA's device `index`:
/// they come in the same order, and without those whose compute capability it lacks code for. None:
/// it is none of them. Pure.
[[nodiscard]] std::optional<std::size_t> rtx_place(const CudaFacts& cuda, int index,
                                                   std::size_t offered);

/// The file of an engine, below `cache_folder`, that TensorRT says in `message` to be damaged: it
/// was written to a full disk, say, and would keep the model from ever being loaded again. None: it
/// says something else. Pure.
[[nodiscard]] std::optional<std::string> damaged_engine(std::string_view message,
                                                        const std::string& cache_folder);

/// The folder for what is compiled for a model and a device: engines fit neither another GPU, nor
/// another driver, nor another version of the runtime. Holds nothing but [a-z0-9_.-]. Pure.
[[nodiscard]] std::string engine_cache_key(const ProviderRequest& request);

}  // namespace framemill
