#include "framemill/cli/run_table.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

RunReport report_of(std::size_t cameras, Duration wall, std::int64_t answered) {
  RunReport report;
  report.wall = wall;
  for (std::size_t i = 0; i < cameras; ++i) {
    CameraReport camera;
    camera.id = "camera-" + std::to_string(i);
    camera.status.state = CameraState::kUp;
    camera.status.source.frames_decoded = 2 * answered;
    camera.counts.captured = answered;
    camera.counts.outcomes[static_cast<std::size_t>(Outcome::kInferred)] = answered;
    report.total.merge(camera.counts);
    report.cameras.push_back(std::move(camera));
  }
  return report;
}

std::ptrdiff_t lines_of(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

TEST(RatesBetween, AreDifferencesOverTime) {
  const auto rates = rates_between(report_of(2, 10s, 100), report_of(2, 12s, 120));
  ASSERT_EQ(rates.size(), 2U);
  EXPECT_DOUBLE_EQ(rates[0].answered_per_s, 10.0);
  EXPECT_DOUBLE_EQ(rates[0].decoded_per_s, 20.0);
}

TEST(RatesBetween, TakeAnEmptyReportAsTheBeginning) {
  const auto rates = rates_between(RunReport{}, report_of(1, 10s, 100));
  EXPECT_DOUBLE_EQ(rates[0].answered_per_s, 10.0);
  EXPECT_DOUBLE_EQ(rates_between(RunReport{}, report_of(1, 0s, 100))[0].answered_per_s, 0.0);
}

TEST(RunTable, HasARowForEachCameraAndATotal) {
  const RunReport report = report_of(3, 10s, 100);
  const std::string table = format_run_table(report, rates_between({}, report), 100);
  EXPECT_EQ(lines_of(table), 1 + 3 + 1 + 1);
  EXPECT_NE(table.find("camera-2"), std::string::npos);
  EXPECT_NE(table.find("= sum of all outcomes"), std::string::npos);
}

TEST(RunTable, ShowsTroubleFirstWhereNotAllFit) {
  RunReport report = report_of(50, 10s, 100);
  report.cameras[47].status.state = CameraState::kDown;
  const std::string table = format_run_table(report, rates_between({}, report), 5);
  EXPECT_NE(table.find("camera-47"), std::string::npos);
  EXPECT_NE(table.find("45 more cameras"), std::string::npos);
}

TEST(RunTable, ShowsWhatTellsOfTroubleWithinEightyColumns) {
  RunReport report = report_of(1, 10s, 100);
  report.cameras[0].id = "eleven-long";
  report.cameras[0].status.state = CameraState::kConnecting;
  const std::string table = format_run_table(report, rates_between({}, report), 5);
  const std::string header = table.substr(0, table.find('\n')).substr(0, 80);
  for (const char* const column :
       {"state", "answered/s", "p95 ms", "overdue", "superseded", "late", "failed"})
    EXPECT_NE(header.find(column), std::string::npos) << column << " in: " << header;
}

TEST(RunTable, SaysSoWhenCountsDoNotAddUp) {
  RunReport report = report_of(1, 10s, 100);
  report.cameras[0].counts.captured = 101;
  EXPECT_NE(format_run_table(report, rates_between({}, report), 5).find("DO NOT ADD UP"),
            std::string::npos);
  EXPECT_EQ(report.failures().size(), 1U);
}

}  // namespace
}  // namespace framemill
