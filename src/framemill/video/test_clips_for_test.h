#pragma once

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/video/source.h"

// Clips made on the spot by the ffmpeg command line, and a source read to its end.
namespace framemill {

[[nodiscard]] inline bool has_ffmpeg_for_test() {
  static const bool has = std::system("ffmpeg -version > /dev/null 2>&1") == 0;
  return has;
}

/// Runs ffmpeg with `arguments`; false if it failed.
[[nodiscard]] inline bool run_ffmpeg(const std::string& arguments) {
  return std::system(("ffmpeg -v error -nostdin -y " + arguments + " > /dev/null").c_str()) == 0;
}

/// Encodes a moving test picture: `encode` are the output options, such as "-c:v libx264 -bf 3".
[[nodiscard]] inline bool make_clip(const std::string& path, const std::string& encode,
                                    const std::string& size = "160x120", double rate_hz = 25,
                                    double duration_s = 2) {
  return run_ffmpeg("-f lavfi -i testsrc2=size=" + size + ":rate=" + std::to_string(rate_hz) +
                    ":duration=" + std::to_string(duration_s) + " " + encode + " '" + path + "'");
}

[[nodiscard]] inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// The samples of a picture without padding, plane after plane, as ffmpeg's rawvideo has them.
[[nodiscard]] inline std::string samples_of(const Picture& picture) {
  const auto [width, height] = picture.size;
  const int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
  Size chroma{0, 0};
  if (picture.format == PixelFormat::kI420) chroma = {half_width, half_height};
  if (picture.format == PixelFormat::kI422) chroma = {half_width, height};
  if (picture.format == PixelFormat::kI444) chroma = {width, height};
  if (picture.format == PixelFormat::kNv12) chroma = {2 * half_width, half_height};
  std::string samples;
  for (std::size_t i = 0; i < picture.planes.size(); ++i) {
    const Plane& plane = picture.planes[i];
    if (plane.data == nullptr) continue;
    const Size size = i == 0 ? picture.size : chroma;
    for (int y = 0; y < size.height; ++y)
      samples.append(
          reinterpret_cast<const char*>(plane.data) + static_cast<std::ptrdiff_t>(y) * plane.stride,
          static_cast<std::size_t>(size.width));
  }
  return samples;
}

struct ReadThrough {
  std::vector<SourceFrame> frames;
  std::optional<Error> error;  ///< of open() or read()
};

/// Opens and reads `source` until it ends, fails or has delivered `most` frames.
[[nodiscard]] inline ReadThrough read_through(Source& source, std::size_t most = SIZE_MAX) {
  ReadThrough through;
  if (const Result<void> opened = source.open(); !opened) {
    through.error = opened.error();
    return through;
  }
  while (through.frames.size() < most) {
    Result<std::optional<SourceFrame>> frame = source.read();
    if (!frame) {
      through.error = frame.error();
      break;
    }
    if (!*frame) break;
    through.frames.push_back(std::move(**frame));
  }
  return through;
}

[[nodiscard]] inline SourceOptions file_options(const std::string& path, std::int64_t every = 1) {
  SourceOptions options;
  options.url = path;
  options.pace = Pace::kFast;
  options.sampling = {.every = every};
  return options;
}

#define REQUIRE_FFMPEG()                                              \
  if (!has_ffmpeg_for_test())                                         \
  GTEST_SKIP() << "the ffmpeg command line makes the clips; install " \
                  "it"

}  // namespace framemill
