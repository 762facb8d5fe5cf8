#include "framemill/vision/picture_file.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include <fmt/format.h>
#include <opencv2/core.hpp>

#include "framemill/vision/bgr_image.h"
#include "framemill/vision/picture_codecs.h"

namespace framemill {
namespace {

/// libjpeg fills what is missing with grey and only warns on standard error; a JPEG that was cut
/// off has no end marker.
bool is_cut_jpeg(const std::vector<std::uint8_t>& bytes) {
  const auto at = [&](std::size_t i) { return bytes[i]; };
  if (bytes.size() < 4 || at(0) != 0xFF || at(1) != 0xD8) return false;
  for (std::size_t i = bytes.size() - 1; i > 0; --i) {
    if (at(i) == 0xD9 && at(i - 1) == 0xFF) return false;
  }
  return true;
}

}  // namespace

Result<std::shared_ptr<const Picture>> read_picture_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return fail(ErrorCode::kNotFound,
                fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
  // Unsigned: OpenCV's reader of WebP takes no other bytes.
  const std::vector<std::uint8_t> bytes(std::istreambuf_iterator<char>(file), {});
  const auto wrong = [&](std::string_view reason) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", path, reason));
  };
  if (bytes.empty()) return wrong("is empty");
  if (is_cut_jpeg(bytes)) return wrong("is a JPEG without an end: it was cut off");
  try {  // OpenCV reports by exception
    const Result<cv::Mat> image = decode_picture(bytes);
    if (!image) return fail(image.error().at(path));
    if (image->empty()) return wrong("is no picture that can be decoded");
    if (image->cols > kPictureSideMax || image->rows > kPictureSideMax)
      return wrong(fmt::format("is {}x{} large; sides may have {}", image->cols, image->rows,
                               kPictureSideMax));
    return from_bgr(*image);
  } catch (const cv::Exception& error) {
    return wrong(fmt::format("cannot be decoded: {}", error.what()));
  }
}

}  // namespace framemill
