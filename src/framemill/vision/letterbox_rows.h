#pragma once

#include <cstdint>
#include <vector>

#include "framemill/core/picture.h"
#include "framemill/vision/letterbox.h"
#include "framemill/vision/letterbox_kernels.h"

namespace framemill {

/// Scales pictures and turns them into colours, row by row. Holds tables for the last layout and
/// rows in between; allocates only when a layout is larger than any before. Not thread-safe.
class ScaledRows {
 public:
  /// For pictures like `picture` (size, format, range, matrix). Nothing to do if the last call was
  /// alike.
  void prepare(const Picture& picture, Size scaled, ChannelOrder channels, ValueRange range);

  /// Row `y` of the scaled picture: scaled.width floats into each of the three planes.
  /// `picture` is alike the one prepared for.
  void write_row(const RowKernels& kernels, const Picture& picture, int y, float* const planes[3]);

 private:
  struct Layout {
    PixelFormat format = PixelFormat::kGray;
    ColorRange range = ColorRange::kFull;
    ColorMatrix matrix = ColorMatrix::kBt601;
    Size source;
    Size scaled;
    ChannelOrder channels = ChannelOrder::kRgb;
    ValueRange values = ValueRange::kByte;
    friend bool operator==(const Layout&, const Layout&) = default;
  };

  Layout layout_;
  ColorTransform transform_;
  Taps luma_taps_;
  Taps chroma_taps_;
  int chroma_width_ = 0;
  int chroma_height_ = 0;  ///< 0 for grey pictures
  std::vector<std::int16_t> luma_row_, u_row_, v_row_;
};

/// write_letterbox() with kernels of one's choice, for agreement tests and benchmarks.
void write_letterbox_with(const RowKernels& kernels, const Picture& picture, const Letterbox& plan,
                          Size model, const InputStyle& style, std::span<float> tensor);

}  // namespace framemill
