#include "framemill/server/metrics_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using testing::HasSubstr;

std::string page_of(const RunReport& report) {
  return metrics_page(report, RunFigures{}, AlarmBoard(1), ServerFigures{});
}

TEST(MetricsPage, ShowsTheTroubleOfASpooledSink) {
  RunReport report;
  report.sinks.push_back({.name = "mqtt",
                          .written = 1000,
                          .last_error = {},
                          .spool = {.waiting = 900,
                                    .waiting_bytes = 12'345,
                                    .delivered = 5,
                                    .dropped = 95,
                                    .retries = 7,
                                    .last_error = "refused"}});
  const std::string page = page_of(report);
  EXPECT_THAT(page, HasSubstr("framemill_sink_failing{sink=\"mqtt\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("framemill_sink_spooled_bytes{sink=\"mqtt\"} 12345\n"));
  EXPECT_THAT(page, HasSubstr("framemill_sink_spooled_messages{sink=\"mqtt\"} 900\n"));
  EXPECT_THAT(page, HasSubstr("framemill_sink_delivered_total{sink=\"mqtt\"} 5\n"));
  EXPECT_THAT(page, HasSubstr("framemill_sink_dropped_total{sink=\"mqtt\"} 95\n"));
  EXPECT_THAT(page, HasSubstr("framemill_sink_retries_total{sink=\"mqtt\"} 7\n"));
  report.sinks[0].spool.last_error.clear();
  EXPECT_THAT(page_of(report), HasSubstr("framemill_sink_failing{sink=\"mqtt\"} 0\n"));
}

}  // namespace
}  // namespace framemill
