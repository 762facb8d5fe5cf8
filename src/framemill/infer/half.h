#pragma once

#include <cstdint>
#include <span>

namespace framemill {

/// Rounds each float to the nearest IEEE 754 half (ties to even; too large ones become infinite).
/// Both spans have the same length. Pure, any thread; 1 ms a million values with F16C.
void to_half(std::span<const float> floats, std::span<std::uint16_t> halves);

/// Exact. Both spans have the same length. Pure, any thread.
void to_float(std::span<const std::uint16_t> halves, std::span<float> floats);

}  // namespace framemill
