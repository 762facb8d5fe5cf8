#pragma once

#include <cstdint>

namespace framemill {

/// A model at one input size: only frames of one lane share a batch.
using LaneIndex = std::uint32_t;

}  // namespace framemill
