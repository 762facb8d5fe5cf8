#pragma once

#include <memory>

#include "framemill/base/result.h"

namespace framemill {

class CudaLetterbox;

/// Letterboxes a few pictures of noise, of every format, on the device, and compares with what
/// write_letterbox() gives: as floats, and as halves with the channels last. Errors: kInternal with
/// the difference; those of CudaBatch.
[[nodiscard]] Result<void> check_letterbox(const std::shared_ptr<const CudaLetterbox>& letterbox);

}  // namespace framemill
