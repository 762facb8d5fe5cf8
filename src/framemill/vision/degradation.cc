#include "framemill/vision/degradation.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "framemill/vision/bgr_image.h"
#include "framemill/vision/picture_codecs.h"

// Strengths are relative to the width where the effect is optical, so that a picture at twice the
// size is degraded as much for an eye. Random numbers are made here: OpenCV's generator is not the
// same in all of its versions.

namespace framemill {
namespace {

constexpr double kLight = 1.0 / 6;
constexpr double kReadNoise = 1.2;  ///< of 255, before brightening
constexpr double kShotNoise = .25;  ///< variance per unit of light
constexpr double kBrighten = .62;   ///< gamma
constexpr double kNoiseSigma = 14;
constexpr int kJpegQuality = 15;
constexpr double kSmearShare = .02;
constexpr double kDiscShare = .011;

std::uint8_t to_byte(double value) {
  return static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
}

/// Normal values by the sum of uniform ones: cheap, and the tails do not matter in a picture.
class NoiseSource {
 public:
  explicit NoiseSource(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {}
  /// Mean 0, deviation 1.
  double next() {
    const std::uint64_t bits = draw();
    double sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<double>((bits >> (16 * i)) & 0xFFFFU);
    constexpr double kMean = 4 * 32767.5;
    return (sum - kMean) * (1 / (65536 * .5773502691896258));  // of 4 uniform ones: sqrt(4 / 12)
  }

 private:
  std::uint64_t draw() {  // splitmix64
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
  }
  std::uint64_t state_;
};

template <typename Change>
void change_values(cv::Mat& image, Change change) {
  for (int y = 0; y < image.rows; ++y) {
    auto* value = image.ptr<std::uint8_t>(y);
    for (int i = 0; i < image.cols * 3; ++i) value[i] = change(value[i]);
  }
}

void darken(cv::Mat& image, std::uint64_t seed) {
  NoiseSource noise(seed);
  // The sensor rounds what little light it gets; brightening afterwards shows the steps.
  std::array<std::uint8_t, 256> brightened{};
  for (std::size_t i = 0; i < 256; ++i)
    brightened[i] = to_byte(255 * std::pow(static_cast<double>(i) / 255, kBrighten));
  change_values(image, [&](std::uint8_t value) {
    const double light = value * kLight;
    const double sigma = std::sqrt(kReadNoise * kReadNoise + kShotNoise * light);
    return brightened[to_byte(light + sigma * noise.next())];
  });
}

void add_noise(cv::Mat& image, std::uint64_t seed) {
  NoiseSource noise(seed);
  change_values(image,
                [&](std::uint8_t value) { return to_byte(value + kNoiseSigma * noise.next()); });
}

void filter(cv::Mat& image, cv::Mat& kernel) {
  const double sum = cv::sum(kernel)[0];
  kernel /= sum;
  cv::Mat filtered;
  cv::filter2D(image, filtered, -1, kernel, {-1, -1}, 0, cv::BORDER_REFLECT_101);
  image = filtered;
}

void smear(cv::Mat& image, std::uint64_t seed) {
  const double length = std::max(3.0, image.cols * kSmearShare);
  std::mt19937_64 random(seed);
  const double angle = static_cast<double>(random() % 180) * std::numbers::pi / 180;
  const int reach = static_cast<int>(std::ceil(length / 2));
  cv::Mat kernel = cv::Mat::zeros(2 * reach + 1, 2 * reach + 1, CV_32F);
  // The line in quarter pixels, each shared out among the four pixels around it.
  const int steps = static_cast<int>(std::lround(length * 4));
  for (int i = 0; i <= steps; ++i) {
    const double along = (static_cast<double>(i) / steps - .5) * length;
    const double x = reach + along * std::cos(angle), y = reach + along * std::sin(angle);
    const int left = static_cast<int>(std::floor(x)), top = static_cast<int>(std::floor(y));
    for (int dy = 0; dy < 2; ++dy) {
      for (int dx = 0; dx < 2; ++dx) {
        const double share = (1 - std::abs(x - (left + dx))) * (1 - std::abs(y - (top + dy)));
        const bool is_inside =
            top + dy >= 0 && top + dy < kernel.rows && left + dx >= 0 && left + dx < kernel.cols;
        if (is_inside) kernel.at<float>(top + dy, left + dx) += static_cast<float>(share);
      }
    }
  }
  filter(image, kernel);
}

void defocus(cv::Mat& image) {
  const double radius = std::max(1.0, image.cols * kDiscShare / 2);
  const int reach = static_cast<int>(std::ceil(radius));
  cv::Mat kernel(2 * reach + 1, 2 * reach + 1, CV_32F);
  for (int y = -reach; y <= reach; ++y) {
    for (int x = -reach; x <= reach; ++x) {
      const double inside = std::clamp(radius + .5 - std::hypot(x, y), 0.0, 1.0);
      kernel.at<float>(y + reach, x + reach) = static_cast<float>(inside);
    }
  }
  filter(image, kernel);
}

Result<void> compress(cv::Mat& image) {
  const Result<std::vector<std::uint8_t>> jpeg = encode_jpeg(image, kJpegQuality);
  if (!jpeg) return fail(jpeg.error());
  Result<cv::Mat> decoded = decode_picture(*jpeg);
  if (!decoded) return fail(decoded.error());
  image = *std::move(decoded);
  return {};
}

}  // namespace

Result<std::shared_ptr<const Picture>> degrade(const std::shared_ptr<const Picture>& picture,
                                               Degradation degradation, std::uint64_t seed) {
  if (degradation == Degradation::kNone) return picture;
  try {  // OpenCV reports by exception
    cv::Mat image = to_bgr(*picture, picture->size);
    switch (degradation) {
      case Degradation::kLowLight:
        darken(image, seed);
        break;
      case Degradation::kMotionBlur:
        smear(image, seed);
        break;
      case Degradation::kNoise:
        add_noise(image, seed);
        break;
      case Degradation::kJpeg:
        if (const Result<void> compressed = compress(image); !compressed)
          return fail(compressed.error());
        break;
      case Degradation::kDefocus:
        defocus(image);
        break;
      case Degradation::kNone:
        break;
    }
    return from_bgr(image);
  } catch (const cv::Exception& error) {
    return fail(ErrorCode::kInternal,
                fmt::format("a picture of {}x{} cannot be degraded: {}", picture->size.width,
                            picture->size.height, error.what()));
  }
}

}  // namespace framemill
