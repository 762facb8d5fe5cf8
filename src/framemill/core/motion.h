#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "framemill/core/geometry.h"

namespace framemill {

/// How the boxes of a camera are carried from one sampled frame to the next; selectable per camera.
enum class MotionMethod : std::uint8_t {
  kAuto,  ///< the decoder's vectors, checked by luma; sparse flow where they are missing or wrong
  kVectors,  ///< the decoder's vectors alone: boxes stay where there are none
  kFlow,     ///< sparse flow alone: works with every codec, costs more
};
[[nodiscard]] constexpr std::string_view to_string(MotionMethod method) {
  switch (method) {
    case MotionMethod::kAuto:
      return "auto";
    case MotionMethod::kVectors:
      return "vectors";
    case MotionMethod::kFlow:
      return "flow";
  }
  return "unknown";
}

/// What the decoder knows of one square cell of a sampled frame.
struct MotionCell {
  enum class Kind : std::uint8_t {
    kUnknown,  ///< coded without reference to the past (intra), or its chain of references broke
    kStill,    ///< it lies where it was, by the stream's own word; dx and dy are 0
    kMoved,    ///< dx, dy hold
  };
  /// The content of the cell was at (its place) - (dx, dy) in the previous sampled frame; pixels.
  float dx = 0, dy = 0;
  Kind kind = Kind::kUnknown;
};

/// The decoder's motion from the previous sampled frame of a stream to this one, composed over the
/// frames between them. Immutable once made.
struct MotionField {
  Size picture_size;
  int cell_px = 16;  ///< side of a cell
  int columns = 0;   ///< ceil(width / cell_px)
  int rows = 0;
  std::vector<MotionCell> cells;  ///< rows x columns, row by row

  [[nodiscard]] const MotionCell& at(int column, int row) const {
    return cells[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) +
                 static_cast<std::size_t>(column)];
  }
};

}  // namespace framemill
