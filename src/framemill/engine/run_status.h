#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/alarm.h"
#include "framemill/core/camera.h"

namespace framemill {

/// How a run stands, for sinks that show it: about twice a second. Plain data.
struct RunStatus {
  struct Camera {
    CameraIndex index = 0;
    CameraId id;
    std::string_view state;  ///< to_string(CameraState); literals
    std::int64_t captured = 0;
    std::int64_t answered = 0;
    std::int64_t unanswered = 0;  ///< sampled, and ended without an answer
    std::int64_t overdue = 0;
    std::optional<double> fidelity;  ///< 0..1; only where a rule asks for it
  };
  struct Rule {
    CameraId camera_id;  ///< empty: of the whole run
    std::string id, kind;
    AlarmSeverity severity = AlarmSeverity::kWarning;
    double value = 0;         ///< see RuleFigure
    std::int64_t events = 0;  ///< likewise
    bool is_open = false;     ///< its alarm is not cleared
    bool is_acknowledged = false;
  };
  std::string run_id;
  WallTime at;
  std::vector<Camera> cameras;
  std::vector<Rule> rules;  ///< those of the whole run last; by camera and place otherwise
  std::optional<double> device_busy;  ///< 0..1, of the busiest device
};

}  // namespace framemill
