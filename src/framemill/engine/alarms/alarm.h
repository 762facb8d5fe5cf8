#pragma once

#include <optional>
#include <string>

#include "framemill/core/alarm.h"

namespace framemill {

/// One alarm as it stands.
struct Alarm {
  std::string id;
  AlarmState state = AlarmState::kRaised;
  AlarmSeverity severity = AlarmSeverity::kWarning;
  CameraId camera_id;  ///< empty: of the whole run
  std::string rule;
  std::string kind;
  std::string message;
  WallTime raised_at;
  std::string run;                  ///< the run that raised it
  std::optional<std::int64_t> seq;  ///< of the sampled frame that did
  std::string picture_path;         ///< JPEG at the raise; empty: none
  bool is_latched = false;
  bool is_cause_gone = false;  ///< latched, and only waits for somebody to acknowledge it
  std::optional<WallTime> acknowledged_at;
  std::string acknowledged_by;
  std::optional<WallTime> cleared_at;
};

/// Which alarms to list, newest first.
struct AlarmQuery {
  std::optional<CameraId> camera;
  bool is_open_only = false;  ///< leaves out those that are cleared
  std::optional<AlarmState> state;
  std::optional<AlarmSeverity> severity;
  std::optional<WallTime> raised_from;
  std::optional<WallTime> raised_before;
  std::string
      before_id;  ///< only older ones: the last id of the page before; empty: from the start
  std::size_t limit = 100;
};

}  // namespace framemill
