#include "framemill/vision/bgr_image.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "framemill/base/check.h"
#include "framemill/vision/letterbox_rows.h"

namespace framemill {
namespace {

/// BT.601 in full range, in 16 bits behind the point.
constexpr int kShift = 16;
constexpr std::int32_t fixed(double value) {
  return static_cast<std::int32_t>(value * (1 << kShift) + (value < 0 ? -.5 : .5));
}
std::uint8_t to_byte(std::int32_t value) {
  return static_cast<std::uint8_t>(std::clamp((value + (1 << (kShift - 1))) >> kShift, 0, 255));
}

}  // namespace

cv::Mat to_bgr(const Picture& picture, Size size) {
  cv::Mat image(size.height, size.width, CV_8UC3);
  const auto width = static_cast<std::size_t>(size.width);
  std::vector<float> colors(3 * width);
  float* const planes[3] = {colors.data(), colors.data() + width, colors.data() + 2 * width};
  ScaledRows rows;
  rows.prepare(picture, size, ChannelOrder::kBgr, ValueRange::kByte);
  for (int y = 0; y < size.height; ++y) {
    rows.write_row(best_kernels(), picture, y, planes);
    auto* out = image.ptr<std::uint8_t>(y);
    for (std::size_t x = 0; x < width; ++x) {
      // NOLINTNEXTLINE(bugprone-incorrect-roundings): never negative, and lround() would be a call
      for (const float* const plane : planes) *out++ = static_cast<std::uint8_t>(plane[x] + 0.5F);
    }
  }
  return image;
}

std::shared_ptr<const Picture> from_bgr(const cv::Mat& image) {
  CHECK(image.type() == CV_8UC3 && image.cols > 0 && image.rows > 0);
  const auto count = static_cast<std::size_t>(image.cols) * static_cast<std::size_t>(image.rows);
  const auto samples = std::make_shared<std::vector<std::uint8_t>>(3 * count);
  std::uint8_t* luma = samples->data();
  std::uint8_t* u = luma + count;
  std::uint8_t* v = u + count;
  constexpr std::int32_t kMiddle = 128 << kShift;
  for (int y = 0; y < image.rows; ++y) {
    const auto* in = image.ptr<std::uint8_t>(y);
    for (int x = 0; x < image.cols; ++x, in += 3) {
      const std::int32_t b = in[0], g = in[1], r = in[2];
      *luma++ = to_byte(fixed(.299) * r + fixed(.587) * g + fixed(.114) * b);
      *u++ = to_byte(fixed(-.168736) * r + fixed(-.331264) * g + fixed(.5) * b + kMiddle);
      *v++ = to_byte(fixed(.5) * r + fixed(-.418688) * g + fixed(-.081312) * b + kMiddle);
    }
  }
  auto picture = std::make_shared<Picture>();
  picture->format = PixelFormat::kI444;
  picture->range = ColorRange::kFull;
  picture->matrix = ColorMatrix::kBt601;
  picture->size = {image.cols, image.rows};
  for (std::size_t i = 0; i < 3; ++i)
    picture->planes[i] = {.data = samples->data() + i * count, .stride = image.cols};
  picture->owner = samples;
  return picture;
}

}  // namespace framemill
