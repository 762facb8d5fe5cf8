#pragma once

#include <cstddef>
#include <memory>

#include "framemill/infer/backend.h"
#include "framemill/infer/onnxruntime/ort_session.h"

namespace framemill {

/// A request of `session`, whose shape was checked. `ordinal`: counts the requests of a backend.
/// Ending a request that waits or runs cancels it: its `done` gets kCancelled.
/// Throws what ONNX Runtime throws. Errors: those of CudaBatch::create(), where a device
/// letterboxes.
[[nodiscard]] Result<std::unique_ptr<InferRequest>> make_ort_request(
    std::shared_ptr<OrtSession> session, std::size_t batch, Size input, std::size_t ordinal);

}  // namespace framemill
