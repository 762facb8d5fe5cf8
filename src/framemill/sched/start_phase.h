#pragma once

#include <cmath>
#include <cstddef>

namespace framemill {

/// When the `camera`-th camera of a run starts, in sampling periods, 0..1. As many files or
/// synthetic sources started at once would bring their frames at the same moments for ever;
/// multiples of the golden ratio lie evenly for any number of cameras.
[[nodiscard]] inline double start_phase(std::size_t camera) {
  const double turns = static_cast<double>(camera) * .6180339887;
  return turns - std::floor(turns);
}

}  // namespace framemill
