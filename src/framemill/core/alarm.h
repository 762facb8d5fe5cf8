#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "framemill/base/clock.h"
#include "framemill/core/camera.h"

namespace framemill {

/// How much an alarm matters to the person on watch.
enum class AlarmSeverity : std::uint8_t { kInfo, kWarning, kCritical };

/// Where an alarm stands. A latched alarm whose cause has gone stays raised until it is
/// acknowledged.
enum class AlarmState : std::uint8_t { kRaised, kAcknowledged, kCleared };

/// One change of one alarm: raised, acknowledged or cleared. The events of an alarm share its id,
/// and (alarm_id, state) is unique for ever: it is the idempotency key of every sink.
struct AlarmEvent {
  std::string alarm_id;  ///< sorts by the time at which the alarm was raised
  AlarmState state = AlarmState::kRaised;
  AlarmSeverity severity = AlarmSeverity::kWarning;
  std::optional<CameraIndex> camera;  ///< none: of a device or of the whole run
  CameraId camera_id;                 ///< empty without a camera
  std::string rule;                   ///< its id, unique in its camera
  std::string kind;                   ///< "presence", "line_crossing", "camera_down", ...
  std::string message;                ///< for people: "2 persons in zone dock"
  WallTime at;                        ///< of this change; for a raise, capture time of its frame
  WallTime raised_at;                 ///< `at` of the raise
  std::optional<std::int64_t> seq;    ///< of the sampled frame that raised it; none without one
  std::string run;                    ///< the run that raised it, which `seq` counts in
  std::string by;                     ///< who acknowledged; empty: nobody, or the rule itself
  std::string picture_path;           ///< JPEG at the raise; empty: none
  bool is_retold = false;  ///< made by an earlier run, where it did not arrive everywhere
};

[[nodiscard]] constexpr std::string_view to_string(AlarmSeverity severity) {
  switch (severity) {
    case AlarmSeverity::kInfo:
      return "info";
    case AlarmSeverity::kWarning:
      return "warning";
    case AlarmSeverity::kCritical:
      return "critical";
  }
  return "unknown";
}
[[nodiscard]] constexpr std::string_view to_string(AlarmState state) {
  switch (state) {
    case AlarmState::kRaised:
      return "raised";
    case AlarmState::kAcknowledged:
      return "acknowledged";
    case AlarmState::kCleared:
      return "cleared";
  }
  return "unknown";
}

}  // namespace framemill
