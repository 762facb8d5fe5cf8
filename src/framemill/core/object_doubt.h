#pragma once

#include <cstdint>

namespace framemill {

/// What is expected to be wrong with a camera's objects as they stand, since the model last saw
/// them.
struct ObjectDoubt {
  std::int64_t age = 0;    ///< sampled frames since the key frame; 0: the model ran on this one
  double objects = 0;      ///< expected number of objects that a consumer sees
  double drift = 0;        ///< expected number of boxes that no longer fit, from how they moved
  double unexplained = 0;  ///< objects' worth of motion outside all boxes, summed over the frames
  friend bool operator==(const ObjectDoubt&, const ObjectDoubt&) = default;
};

}  // namespace framemill
