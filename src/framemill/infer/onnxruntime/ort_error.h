#pragma once

#include <string>
#include <string_view>

#include "framemill/base/result.h"
#include "framemill/infer/onnxruntime/ort_api.h"

namespace framemill {

/// What a caller can do about an error of ONNX Runtime. Its own codes say little of what happened
/// on a device, so the message is looked at, too. `otherwise`: where neither tells. Pure.
[[nodiscard]] ErrorCode code_of_ort_error(OrtErrorCode code, std::string_view message,
                                          ErrorCode otherwise);

/// The exception now being handled as an error, "what: reason". Only inside a catch block.
[[nodiscard]] Failure fail_from_ort_exception(ErrorCode otherwise, std::string_view what);

}  // namespace framemill
