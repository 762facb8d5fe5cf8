#pragma once

#include "framemill/infer/runtime_facts.h"

namespace framemill {

/// Version, providers and devices of ONNX Runtime, and why a graphics device is not there. Loads
/// the library.
[[nodiscard]] RuntimeFacts read_onnxruntime_facts();

}  // namespace framemill
