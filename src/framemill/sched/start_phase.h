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

/// Seconds from the start of a run at which the `camera`-th camera starts, where it is not to be
/// opened before `earliest_s`: later by whole sampling periods, so that the phases stay even. Steps
/// of 40 ms at 10 frames/s would otherwise bring all cameras to one phase.
[[nodiscard]] inline double start_time(std::size_t camera, double period_s, double earliest_s) {
  return (start_phase(camera) + std::ceil(earliest_s / period_s - 1e-9)) * period_s;
}

}  // namespace framemill
