#include "framemill/video/sampler.h"

#include <algorithm>
#include <cmath>

namespace framemill {
namespace {

constexpr double kJumpS = 1.0;
constexpr double kGridSlack = 1e-6;  // cells; a timestamp rounded down still falls into its cell

}  // namespace

bool Sampler::take(double time_s) {
  const std::int64_t index = frame_count_++;
  if (options_.every > 0) return index % options_.every == 0;
  if (options_.rate_hz <= 0) return true;

  const double interval_s = time_s - last_time_s_;
  // A slow source's own interval is no jump; half as much again allows for jitter.
  const double jump_s = std::max(kJumpS, 1.5 * last_interval_s_);
  const bool is_start = !grid_start_s_ || interval_s > jump_s || interval_s < -kJumpS;
  last_interval_s_ = grid_start_s_ ? std::max(interval_s, 0.0) : 0.0;
  last_time_s_ = time_s;
  if (is_start) {
    grid_start_s_ = time_s;
    last_cell_ = 0;
    return true;
  }
  const auto cell = static_cast<std::int64_t>(
      std::floor((time_s - *grid_start_s_) * options_.rate_hz + kGridSlack));
  if (cell <= last_cell_) return false;
  last_cell_ = cell;
  return true;
}

}  // namespace framemill
