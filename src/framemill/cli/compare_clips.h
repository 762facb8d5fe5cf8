#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/cli/compare_misses.h"
#include "framemill/config/run_settings.h"

namespace framemill {

/// What can be said of a camera's clip without decoding it.
struct ClipFacts {
  std::string problem;       ///< why it cannot be read; empty: it can be opened
  double sampled_about = 0;  ///< sampled frames to expect of it; 0: not known
};

/// Opens the clip of each camera for a moment. Some milliseconds a clip.
[[nodiscard]] std::vector<ClipFacts> look_at_clips(const RunSettings& settings, const Clock& clock);

/// The frames of `misses` as JPEGs with nothing drawn, in their order. Reads each clip that has one
/// once more, sampled as in a run and up to the last frame wanted. Empty bytes where a frame cannot
/// be had; all the rest of them once `is_stopped` says so, which is asked for each sampled frame.
[[nodiscard]] std::vector<std::vector<std::uint8_t>> draw_missed_frames(
    const RunSettings& settings, std::span<const WorstMiss> misses, const Clock& clock,
    const std::function<bool()>& is_stopped);

}  // namespace framemill
