#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "framemill/config/run_settings.h"
#include "framemill/server/alarm_board.h"
#include "framemill/server/event_log.h"
#include "framemill/server/run_meter.h"

/// The objects of the OpenAPI file. Pure; any thread. No secret gets into any of them.

namespace framemill {

/// By the table of settings, so that no key is forgotten; secrets are left out, URLs redacted.
[[nodiscard]] nlohmann::ordered_json camera_settings_json(const CameraSettings& settings);
/// `camera`: its place in figures.report.cameras.
[[nodiscard]] nlohmann::ordered_json camera_json(const RunFigures& figures, std::size_t camera,
                                                 const CameraSettings& settings, int open_alarms);
[[nodiscard]] nlohmann::ordered_json camera_stats_json(const RunFigures& figures,
                                                       std::size_t camera, int open_alarms);
[[nodiscard]] nlohmann::ordered_json host_json(const RunFigures& figures);
[[nodiscard]] nlohmann::ordered_json run_json(const RunFigures& figures);
/// What is wrong with the run now, for readiness; names no camera, sink or address.
[[nodiscard]] std::vector<std::string> troubles_of(const RunReport& report);
[[nodiscard]] nlohmann::ordered_json plan_json(const RunFigures& figures);
[[nodiscard]] nlohmann::ordered_json event_json(const RunEvent& event);
[[nodiscard]] nlohmann::ordered_json alarm_json(const AlarmView& alarm);
[[nodiscard]] nlohmann::ordered_json stats_message(const RunFigures& figures,
                                                   const std::map<std::string, int>& open_alarms);

/// Text of a JSON value; what is no UTF-8 becomes a replacement character.
[[nodiscard]] std::string dump(const nlohmann::ordered_json& json);

}  // namespace framemill
