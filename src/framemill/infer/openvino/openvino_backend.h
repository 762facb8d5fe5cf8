#pragma once

#include <memory>

#include "framemill/infer/backend.h"

namespace framemill {

/// Loads an .onnx or .xml file with OpenVINO. Takes models with one image input (NCHW or NHWC, f32
/// or f16; static or dynamic batch, height and width); outputs of another float type become f32.
/// `options.device` "auto": a GPU if OpenVINO lists one, else the CPU. `options.precision`: on a
/// CPU auto is fp32 (not bf16, as OpenVINO would take where AMX is). Compiles a shape when a
/// request first asks for it (YOLO11n: 0.9 s, 0.4 s from `cache_dir`). YOLO11n takes some 120 MB
/// with one stream, each further one 25 MB. Requests may outlive the backend. Errors: those of
/// load_backend(). The file must exist.
[[nodiscard]] Result<std::unique_ptr<Backend>> load_openvino_backend(const BackendOptions& options);

}  // namespace framemill
