#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "framemill/base/result.h"
#include "framemill/core/picture.h"

namespace framemill {

/// What cameras do to pictures, each at one strength that a good model mostly survives.
enum class Degradation : std::uint8_t {
  kNone,
  kLowLight,    ///< a sixth of the light, the sensor's noise with it, brightened by gamma again
  kMotionBlur,  ///< a smear of 2 % of the width, in a direction that the seed draws
  kNoise,       ///< Gaussian, sigma 14 of 255, each colour for itself
  kJpeg,        ///< quality 15
  kDefocus,     ///< a disc of 1.1 % of the width across
};
inline constexpr std::size_t kDegradations = 6;
inline constexpr std::array<std::string_view, kDegradations> kDegradationNames{
    "clean", "low_light", "motion_blur", "noise", "jpeg", "defocus"};
[[nodiscard]] constexpr std::string_view to_string(Degradation degradation) {
  return kDegradationNames[static_cast<std::size_t>(degradation)];
}

/// `picture` degraded; kNone gives it back as it is. The same picture and seed give the same
/// pixels. Any thread; starts none; 10 to 60 ms for 640x480. Errors: kInternal where OpenCV fails.
[[nodiscard]] Result<std::shared_ptr<const Picture>> degrade(
    const std::shared_ptr<const Picture>& picture, Degradation degradation, std::uint64_t seed);

}  // namespace framemill
