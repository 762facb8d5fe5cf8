#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/alarm.h"

namespace framemill {

/// A corner of a polygon in relative coordinates, 0..1 of width and height.
struct RelativePoint {
  double x = 0, y = 0;
  friend bool operator==(const RelativePoint&, const RelativePoint&) = default;
};

/// A named area of a camera's picture: a polygon of at least three corners.
struct ZoneSettings {
  std::string name;
  std::vector<RelativePoint> points;
  friend bool operator==(const ZoneSettings&, const ZoneSettings&) = default;
};

/// A named line across a camera's picture. Seen from the first point towards the second, `forward`
/// goes from the left side to the right.
struct LineSettings {
  std::string name;
  RelativePoint from, to;
  friend bool operator==(const LineSettings&, const LineSettings&) = default;
};

/// What a rule watches. The order is that of kRuleKindNames.
enum class RuleKind : std::uint8_t {
  kPresence,
  kAbsence,
  kCount,
  kDwell,
  kLineCrossing,
  kDefect,
  kRate,
  kCameraDown,
  kCameraFrozen,
  kFidelity,
  kDeviceBusy,
};
inline constexpr std::string_view kRuleKindNames =
    "presence|absence|count|dwell|line_crossing|defect|rate|camera_down|camera_frozen|fidelity|"
    "device_busy";

/// The point of a box that has to lie in a zone, or to cross a line.
enum class BoxAnchor : std::uint8_t { kBottom, kCenter, kTop };
enum class LineDirection : std::uint8_t { kBoth, kForward, kBackward };

/// One entry of `rules:`. Unset optionals have a default by kind, see rule_defaults.h.
struct RuleSettings {
  std::string id;
  std::optional<RuleKind> kind;  ///< required
  AlarmSeverity severity = AlarmSeverity::kWarning;
  std::string zone;  ///< empty: the whole picture
  std::string line;  ///< line_crossing, rate
  LineDirection direction = LineDirection::kBoth;
  BoxAnchor anchor = BoxAnchor::kBottom;
  std::vector<std::string> classes;        ///< labels; empty: all that the camera answers
  std::optional<double> score;             ///< 0..1; unset: all that the camera answers
  std::optional<double> over;              ///< count, rate (a minute), device_busy (0..1)
  std::optional<double> under;             ///< count, rate (a minute), fidelity (0..1)
  std::optional<double> hysteresis;        ///< in the unit of over and under
  std::optional<std::int64_t> frames, of;  ///< defect: seen in N of the last M answers
  std::optional<Duration> window;          ///< rate: over which it is counted
  std::optional<Duration> hold_for;        ///< so long before it is raised
  std::optional<Duration> clear_after;     ///< gone for so long before it is cleared
  bool is_latched = false;                 ///< stays until somebody acknowledges it
  std::vector<std::string> schedule;       ///< "mon-fri 06:00-22:00"; empty: always
  friend bool operator==(const RuleSettings&, const RuleSettings&) = default;
};

/// `alarms:`: what concerns the whole run.
struct AlarmSettings {
  Duration keep = std::chrono::hours(90 * 24);  ///< cleared alarms and their pictures
  std::int64_t pictures_mb = 1024;              ///< of all pictures; the oldest go first
  std::vector<RuleSettings> rules;              ///< device_busy only
  friend bool operator==(const AlarmSettings&, const AlarmSettings&) = default;
};

}  // namespace framemill
