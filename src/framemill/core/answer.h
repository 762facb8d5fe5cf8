#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/core/camera.h"
#include "framemill/core/frame.h"
#include "framemill/core/geometry.h"

namespace framemill {

/// One object found in a frame.
struct Detection {
  int class_id = 0;
  float score = 0;          ///< 0..1
  Box box;                  ///< pixels of the source frame, clipped to it
  std::int64_t track = -1;  ///< id of the object over time, unique per camera; -1: none (yet)
  friend bool operator==(const Detection&, const Detection&) = default;
};

/// How an answer came about.
enum class Origin : std::uint8_t {
  kInferred,    ///< the model ran on this very frame
  kPropagated,  ///< boxes carried by motion from an earlier inferred frame
  kReused,      ///< the last boxes, unchanged
  kNone,        ///< no answer; the drop reason says why
};

/// The one cause why a sampled frame got no answer.
enum class DropReason : std::uint8_t {
  kSuperseded,  ///< a newer frame of the camera took its place
  kLate,        ///< its deadline passed with nothing to propagate
  kFailed,      ///< decoding failed, or the backend did under policy full
};

/// What became of a captured frame; each ends in exactly one of these.
enum class Outcome : std::uint8_t {
  kSampledOut,
  kInferred,
  kPropagated,
  kReused,
  kSuperseded,
  kLate,
  kFailed,
};
inline constexpr std::size_t kOutcomeCount = 7;
inline constexpr std::array<std::string_view, kOutcomeCount> kOutcomeNames{
    "sampled_out", "inferred", "propagated", "reused", "superseded", "late", "failed"};

[[nodiscard]] constexpr std::string_view to_string(Outcome outcome) {
  return kOutcomeNames[static_cast<std::size_t>(outcome)];
}
[[nodiscard]] constexpr std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::kInferred:
      return "inferred";
    case Origin::kPropagated:
      return "propagated";
    case Origin::kReused:
      return "reused";
    case Origin::kNone:
      return "none";
  }
  return "unknown";
}
[[nodiscard]] constexpr std::string_view to_string(DropReason reason) {
  switch (reason) {
    case DropReason::kSuperseded:
      return "superseded";
    case DropReason::kLate:
      return "late";
    case DropReason::kFailed:
      return "failed";
  }
  return "unknown";
}

/// The line that one sampled frame gives. With origin kNone there are no detections.
struct Answer {
  CameraIndex camera = 0;
  FrameStamp stamp;
  Size picture_size;
  Origin origin = Origin::kNone;
  DropReason drop_reason = DropReason::kFailed;  ///< only with origin kNone
  std::int64_t source_frame_index = -1;  ///< the inferred frame the boxes come from; -1: none
  std::optional<Duration> latency;       ///< capture to hand-over to the sinks; none at pace fast
  Duration slo{0};
  bool is_on_time = true;
  std::string_view model;                      ///< configured name; outlives the answer
  std::shared_ptr<const std::string> variant;  ///< the rung that inferred; null if none did
  std::uint32_t rung = 0;  ///< of the model's ladder, that found them; 0 is the model itself
  std::vector<Detection> detections;       ///< at or above the camera's score, best first
  std::shared_ptr<const Picture> picture;  ///< kept only where somebody asked for it, else null
  bool is_snapshot_due = false;            ///< the snapshot sink draws it; has a picture then
};

/// The outcome under which an answer is counted.
[[nodiscard]] constexpr Outcome outcome_of(Origin origin, DropReason reason) {
  switch (origin) {
    case Origin::kInferred:
      return Outcome::kInferred;
    case Origin::kPropagated:
      return Outcome::kPropagated;
    case Origin::kReused:
      return Outcome::kReused;
    case Origin::kNone:
      break;
  }
  switch (reason) {
    case DropReason::kSuperseded:
      return Outcome::kSuperseded;
    case DropReason::kLate:
      return Outcome::kLate;
    case DropReason::kFailed:
      break;
  }
  return Outcome::kFailed;
}

}  // namespace framemill
