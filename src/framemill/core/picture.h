#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "framemill/core/geometry.h"

namespace framemill {

/// How the samples of a picture lie in memory; 8 bits each. Chroma sides are rounded up.
enum class PixelFormat : std::uint8_t {
  kI420,  ///< planes Y, U, V; chroma halved in both directions
  kI422,  ///< planes Y, U, V; chroma halved across
  kI444,  ///< planes Y, U, V; full chroma
  kNv12,  ///< planes Y, UV interleaved; chroma halved in both directions
  kGray,  ///< plane Y
};

/// Video range has Y in 16..235 and chroma in 16..240, full range 0..255 for all.
enum class ColorRange : std::uint8_t { kLimited, kFull };

/// Which primaries' luma weights the YUV values were made with.
enum class ColorMatrix : std::uint8_t { kBt601, kBt709, kBt2020 };

struct Plane {
  const std::uint8_t* data = nullptr;
  int stride = 0;  ///< bytes from a row to the next, may exceed the width
};

/// A decoded picture. Immutable once made, shared between threads by shared_ptr<const Picture>;
/// the samples live as long as `owner`, and are never copied on the frame path.
struct Picture {
  PixelFormat format = PixelFormat::kI420;
  ColorRange range = ColorRange::kLimited;
  ColorMatrix matrix = ColorMatrix::kBt601;
  Size size;
  std::array<Plane, 3> planes;  ///< unused ones have no data
  std::shared_ptr<const void> owner;
};

}  // namespace framemill
