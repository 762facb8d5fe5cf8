#pragma once

#include <span>

namespace framemill {

/// Where one place of an object went. Any unit of length, the same in all members.
struct PlaceMotion {
  float x = 0, y = 0;    ///< from the object's centre
  float dx = 0, dy = 0;  ///< how far it moved
  float weight = 1;      ///< > 0
};

/// A place at (x, y) from the centre goes to (dx + scale * x, dy + scale * y).
struct ShiftScale {
  float dx = 0, dy = 0;
  float scale = 1;
};

struct ShiftScaleFit {
  ShiftScale motion;
  float support = 0;  ///< share of the weight which moved like this, 0..1
  float scatter = 0;  ///< root mean square distance of those from it
};

/// The shift and scale that most of the weight agrees on; what moved otherwise (background, limbs,
/// errors) is left out. `tolerance`: how far from it a place still counts in part; `scale_prior`:
/// weight times length squared which holds the scale at 1, which keeps few or near places from
/// telling one. No places: no motion and support 0. Pure, any thread; O(n^2), 1 us for 9 places.
[[nodiscard]] ShiftScaleFit fit_shift_scale(std::span<const PlaceMotion> places, float tolerance,
                                            float scale_prior);

}  // namespace framemill
