#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace framemill {

/// How sampled frames are answered; selectable per camera.
enum class PolicyKind : std::uint8_t {
  kFull,        ///< every sampled frame is inferred; under overload frames are superseded
  kHold,        ///< every Nth sampled frame is inferred, the others reuse its boxes
  kSimilarity,  ///< boxes are reused while the picture resembles the last inferred one
  kAdaptive,    ///< inference goes where need is highest, the others carry their boxes by motion
};

[[nodiscard]] constexpr std::string_view to_string(PolicyKind policy) {
  switch (policy) {
    case PolicyKind::kFull:
      return "full";
    case PolicyKind::kHold:
      return "hold";
    case PolicyKind::kSimilarity:
      return "similarity";
    case PolicyKind::kAdaptive:
      return "adaptive";
  }
  return "unknown";
}

/// What inference may cost: a share of the sampled frames, or a number a second over all cameras.
/// At most one of the two is set; none: all capacity.
struct InferenceBudget {
  std::optional<double> share;       ///< 0 < share <= 1
  std::optional<double> per_second;  ///< > 0
  friend bool operator==(const InferenceBudget&, const InferenceBudget&) = default;
};

/// How fast file sources are read.
enum class Pace : std::uint8_t {
  kLive,  ///< files release packets at their decode time, as a camera would
  kFast,  ///< as fast as they can be processed, with back-pressure
};

/// How RTSP carries its media.
enum class Transport : std::uint8_t { kAuto, kTcp, kUdp };

}  // namespace framemill
