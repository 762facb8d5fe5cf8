#pragma once

#include <cstdint>
#include <string>

#include "framemill/server/alarm_board.h"
#include "framemill/server/http_server.h"
#include "framemill/server/run_meter.h"

namespace framemill {

/// What the page tells of the server itself.
struct ServerFigures {
  HttpCounts http;
  std::int64_t stream_dropped = 0;
};

/// The page /metrics: Prometheus text with the names of design section 4. Labels are those of the
/// configuration (cameras, models, rules), so that the number of series is bounded by it. `report`:
/// a full one where intervals are wanted; its counts are used, not those of the figures.
[[nodiscard]] std::string metrics_page(const RunReport& report, const RunFigures& figures,
                                       const AlarmBoard& alarms, const ServerFigures& server);

}  // namespace framemill
