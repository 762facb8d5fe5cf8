#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framemill/base/growing_list.h"
#include "framemill/core/alarm.h"
#include "framemill/core/answer.h"

namespace framemill {

/// What the lines of one camera need beside the answer itself; constant during a run.
struct CameraNames {
  using Labels = std::vector<std::string>;
  CameraNames(CameraId camera, std::shared_ptr<const Labels> model_labels)
      : id(std::move(camera)), labels(std::move(model_labels)) {}
  CameraNames(CameraId camera, Labels own)
      : CameraNames(std::move(camera), std::make_shared<const Labels>(std::move(own))) {}
  CameraId id;
  std::shared_ptr<const Labels> labels;  ///< of the camera's model, by class id; never null
};

/// All cameras that the run has had so far, by CameraIndex; cameras may come while it goes on.
using CameraDirectory = GrowingList<CameraNames>;

/// "2026-01-01T08:00:04.004Z": UTC with milliseconds.
[[nodiscard]] std::string format_wall_time(WallTime time);

/// Appends one line of the contract `framemill.result/1` (design section 4), newline included.
/// Any thread; about 2 us and 100 bytes a detection.
void append_answer_json(std::string& out, const Answer& answer, std::string_view run_id,
                        const CameraNames& camera);

/// Appends the list of detections as it stands in such a line.
void append_detections_json(std::string& out, std::span<const Detection> detections,
                            const CameraNames& camera);

/// Appends one line of the contract `framemill.alarm/1` (docs/alarms.md), newline included.
void append_alarm_json(std::string& out, const AlarmEvent& event);

}  // namespace framemill
