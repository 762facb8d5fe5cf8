#pragma once

#include "framemill/vision/thumbnail.h"

namespace framemill {

/// Share of the pixels that are edges, 0..1: |dx| + |dy| of luma to the right and lower neighbour
/// above kEdgeContrast. Says how full a picture is beside others of the same camera (compare
/// SceneHistory); absolute values depend on the size. 0 for a picture of one row or column.
/// Pure, any thread; under 20 us at 320x180.
[[nodiscard]] double edge_density(const Thumbnail& picture);

inline constexpr int kEdgeContrast = 24;  ///< of 255

}  // namespace framemill
