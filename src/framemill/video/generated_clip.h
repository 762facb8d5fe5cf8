#pragma once

#include <string>

#include "framemill/base/result.h"
#include "framemill/core/geometry.h"

namespace framemill {

/// A clip to measure decoding with, where no real one is at hand. Plain value.
struct GeneratedClip {
  std::string codec = "h264";  ///< h264, hevc, mjpeg
  Size size{640, 360};         ///< even sides
  int rate_hz = 25;
  int frames = 50;
  /// Bits a pixel, as cameras are usually set; mjpeg has a fixed quality instead. What decoding
  /// costs grows with it.
  double bits_per_pixel = .1;
};

/// Encodes moving shapes with a camera's grain to the file `path` (Matroska), without B frames, a
/// key frame every two seconds. About 5 ms a 640x360 frame. Errors: kUnsupported where this FFmpeg
/// has no encoder for the codec, kResourceExhausted where the file cannot be written.
[[nodiscard]] Result<void> generate_clip(const GeneratedClip& clip, const std::string& path);

}  // namespace framemill
