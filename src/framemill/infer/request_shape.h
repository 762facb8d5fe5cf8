#pragma once

#include <cstddef>

#include "framemill/core/geometry.h"
#include "framemill/infer/backend.h"

namespace framemill {

/// Whether a request of `batch` pictures of `input` fits the model. Pure.
/// Errors: kInvalidArgument, with what the model takes.
[[nodiscard]] Result<void> check_request_shape(const ModelFacts& facts, std::size_t batch,
                                               Size input);

/// The stride of a model of any size, from metadata "stride", within 1..1024; else 32.
[[nodiscard]] int input_multiple_of(const ModelFacts& facts);

}  // namespace framemill
