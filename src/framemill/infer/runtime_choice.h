#pragma once

#include <string_view>

#include "framemill/base/result.h"

namespace framemill {

/// The library that runs models.
enum class RuntimeKind { kAuto, kOpenVino, kOnnxRuntime };

/// Arithmetic of a model's floating-point layers. kAuto: that of its weights, so that the same
/// model gives the same answers on any CPU; what a graphics device's runtime takes by itself there.
enum class Precision { kAuto, kFp32, kFp16, kBf16 };

/// Where pictures are letterboxed. kAuto: on the device that runs the model, where it can.
enum class LetterboxOn { kAuto, kHost, kDevice };

/// Of "auto", "openvino", "onnxruntime". Errors: kInvalidArgument.
[[nodiscard]] Result<RuntimeKind> parse_runtime(std::string_view text);

/// Of "auto", "fp32", "fp16", "bf16". Errors: kInvalidArgument.
[[nodiscard]] Result<Precision> parse_precision(std::string_view text);

/// Of "auto", "host", "device". Errors: kInvalidArgument.
[[nodiscard]] Result<LetterboxOn> parse_letterbox_on(std::string_view text);

/// What loads a model: `wanted` if it is named, else ONNX Runtime for the devices that only it has
/// (cuda, tensorrt, rtx), else OpenVINO, the fastest measured on CPUs, else what the build has.
/// `path` and `device` are those of BackendOptions. Pure. Errors: kUnsupported where the build
/// lacks the runtime, or it cannot read such a file.
[[nodiscard]] Result<RuntimeKind> choose_runtime(RuntimeKind wanted, std::string_view path,
                                                 std::string_view device, bool has_openvino,
                                                 bool has_onnxruntime);

}  // namespace framemill
