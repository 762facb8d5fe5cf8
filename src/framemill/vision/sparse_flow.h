#pragma once

#include <span>

#include "framemill/vision/thumbnail.h"

namespace framemill {

/// A point to be found again. Lengths in pixels of the finest picture, whose pixel (0, 0) covers
/// [0, 1) x [0, 1).
struct FlowPoint {
  float x = 0, y = 0;    ///< where it is in `from`
  float dx = 0, dy = 0;  ///< in: a guess; out: in `to` it is at (x + dx, y + dy)
  /// How far from (x, y) the point lands when it is followed back.
  float back_error = 0;
  float residual = 0;       ///< mean absolute difference of luma over the window, less its mean
  bool is_tracked = false;  ///< false: flat, or it ran away; dx and dy are then the guess
};

/// Side of the window that is compared, in pixels of the level.
inline constexpr int kFlowWindow = 8;

/// The smaller eigenvalue of the gradient's structure matrix over a window round (x, y), per pixel:
/// 0 where the picture is flat or has edges in one direction only (Shi and Tomasi, 1994). Windows
/// may leave the picture: its border is continued. Pure; 0.1 us.
[[nodiscard]] float corner_strength(const Thumbnail& luma, float x, float y);

/// Follows points by pyramidal Lucas-Kanade (Bouguet, 2001) with a window of 8x8 and differences
/// taken less their mean, so that a change of light does not move them; then follows them back.
/// `from`, `to`: pictures of two frames, each half as wide and high (odd ones rounded down) as the
/// one before, same sizes in both. `coarsest`: level to start at, < from.size(); a motion of up to
/// about 3 * 2^coarsest pixels from the guess is found. Pure; 1 to 2 us a point and level.
void track_points(std::span<const Thumbnail> from, std::span<const Thumbnail> to, int coarsest,
                  std::span<FlowPoint> points);

}  // namespace framemill
