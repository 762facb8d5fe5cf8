#pragma once

#include <string>
#include <vector>

namespace framemill {

/// What the FFmpeg libraries in use can do.
struct FfmpegFacts {
  std::string version;                ///< "libavcodec 59.37.100, libavformat 59.27.100"
  std::vector<std::string> decoders;  ///< of the codecs that cameras send, those there are
  std::vector<std::string> missing;   ///< and those there are not
  /// Kinds of hardware it was built for: "vaapi", "cuda", ... Says nothing about a device.
  std::vector<std::string> hardware;
};
/// Any thread.
[[nodiscard]] FfmpegFacts read_ffmpeg_facts();

}  // namespace framemill
