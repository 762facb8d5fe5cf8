#pragma once

#include <cstddef>
#include <cstdint>

#include "framemill/core/picture.h"
#include "framemill/vision/letterbox.h"
#include "framemill/vision/letterbox_pixel.h"

namespace framemill {

/// A picture as it travels to a graphics device: one block of bytes with the tables of its
/// letterbox and its planes, rows packed. The tables are kept as long as the layout stays. Not
/// thread-safe.
class LetterboxUpload {
 public:
  /// For `picture` in a model's input. `plan`: as for write_letterbox(). True where the tables are
  /// others than at the last call; they must then be written before the next item is used.
  bool prepare(const Picture& picture, const Letterbox& plan, const InputStyle& style);

  /// Of the block, for what was prepared.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Of the tables at its beginning: they need not be written again while prepare() says false.
  [[nodiscard]] std::size_t table_bytes() const { return table_bytes_; }

  /// Writes the tables to the beginning of `block`, which has bytes() and is aligned to 16.
  void write_tables(std::uint8_t* block) const;
  /// Writes the samples of `picture`, alike the one prepared for, to their places in `block`.
  void write_samples(const Picture& picture, std::uint8_t* block) const;

  /// What a kernel needs to know, once the block lies at `block` of the device.
  [[nodiscard]] LetterboxItem item(const std::uint8_t* block) const;

 private:
  struct Layout {
    PixelFormat format = PixelFormat::kGray;
    ColorRange range = ColorRange::kFull;
    ColorMatrix matrix = ColorMatrix::kBt601;
    Size source, scaled;
    int left = 0, top = 0;
    ChannelOrder channels = ChannelOrder::kRgb;
    ValueRange values = ValueRange::kByte;
    float border = 0;
    friend bool operator==(const Layout&, const Layout&) = default;
  };

  Layout layout_;
  LetterboxItem item_{};  // of the layout; pointers are offsets from the block's beginning
  std::size_t table_bytes_ = 0, bytes_ = 0;
  std::size_t luma_at_ = 0, u_at_ = 0, v_at_ = 0;
};

}  // namespace framemill
