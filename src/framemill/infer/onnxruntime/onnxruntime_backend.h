#pragma once

#include <memory>

#include "framemill/infer/backend.h"

namespace framemill {

/// Loads an .onnx file with ONNX Runtime, whose library is loaded on the first call (see
/// load_onnxruntime()). Takes models with one image input (NCHW or NHWC, f32 or f16; static or
/// dynamic batch, height and width) and a first output of f32 or f16.
/// `options.device`: "auto" and "CPU" are the CPU; "cuda:N", "tensorrt:N" and "rtx:N" NVIDIA's
/// devices (not proven on one yet, see docs/inference.md). `options.precision`: on the CPU always
/// that of the weights; fp16 and bf16 with tensorrt. On a graphics device a shape is compiled when
/// a request first asks for it, and TensorRT's engines are kept in `cache_dir`. Requests may
/// outlive the backend; one that is ended while it runs is cancelled at the next layer. Errors:
/// those of load_backend(), of load_onnxruntime() and prepare_provider(). The file must exist.
[[nodiscard]] Result<std::unique_ptr<Backend>> load_onnxruntime_backend(
    const BackendOptions& options);

}  // namespace framemill
