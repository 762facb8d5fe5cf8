#pragma once

#include <memory>

#include "framemill/core/picture.h"
#include "framemill/video/av_handles.h"

namespace framemill {

/// Makes pictures of decoded frames. 8-bit planar YUV (4:2:0, 4:2:2, 4:4:4, NV12) and gray are
/// handed out as they are, without a copy: the picture holds a reference to the frame's memory.
/// Everything else (more bits, RGB, packed YUV, 4:1:1) is converted to 8-bit planar of the nearest
/// subsampling. Unspecified matrix is BT.601, unspecified range limited (full for yuvj). Not
/// thread-safe: keeps the converter; the pictures are free to go anywhere.
class PictureMaker {
 public:
  /// Null if a conversion is impossible, there is no memory for it, or nothing is left of the frame
  /// after its cropping.
  [[nodiscard]] std::shared_ptr<const Picture> make(AvFramePtr frame);

 private:
  [[nodiscard]] AvFramePtr convert(const AVFrame& frame, AVPixelFormat target);

  SwsContextPtr converter_;
};

}  // namespace framemill
