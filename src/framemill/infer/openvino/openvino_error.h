#pragma once

#include <string_view>

#include "framemill/base/result.h"

namespace framemill {

/// The exception now being handled as an error, with OpenVINO's stack of reasons in one line:
/// kResourceExhausted where memory ran out, else as given. Only inside a catch block.
[[nodiscard]] Failure fail_from_openvino_exception(ErrorCode otherwise, std::string_view what);

}  // namespace framemill
