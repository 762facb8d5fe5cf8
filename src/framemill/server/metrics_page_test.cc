#include "framemill/server/metrics_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

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

TEST(MetricsPage, InferencesAreToldByRungAndDevice) {
  RunReport report;
  report.model_names = {"objects"};
  report.models.resize(1);
  report.ladders = {{"large", "small"}};
  report.devices.resize(1);
  report.devices[0].name = "cpu";
  report.devices[0].inferences = {{{10, 1, 2, 0}, {30, 0, 4, 0}}};
  const std::string page = page_of(report);
  const auto line = [](std::string_view variant, std::string_view purpose, int count) {
    return HasSubstr("framemill_inferences_total{model=\"objects\",variant=\"" +
                     std::string(variant) + "\",device=\"cpu\",purpose=\"" + std::string(purpose) +
                     "\"} " + std::to_string(count) + "\n");
  };
  EXPECT_THAT(page, line("large", "primary", 10));
  EXPECT_THAT(page, line("large", "audit", 1));
  EXPECT_THAT(page, line("small", "primary", 30));
  EXPECT_THAT(page, line("small", "forced", 4));
}

TEST(MetricsPage, ModelsThatAreOutAreToldForEachDeviceThatHasThem) {
  RunFigures figures;
  RunReport& report = figures.report;
  report.model_names = {"objects"};
  report.ladders = {{"large", "small"}};
  for (const char* const name : {"cuda:0", "cuda:1"}) {
    report.devices.emplace_back().name = name;
    report.devices.back().hosted = {
        {{.is_hosted = true, .is_serving = true}, {.is_hosted = true, .outages = 2}}};
  }
  report.devices[1].hosted[0][0] = {};
  const std::string page = metrics_page(RunReport{}, figures, AlarmBoard(1), ServerFigures{});
  const auto labels = [](std::string_view variant, std::string_view device) {
    return "{model=\"objects\",variant=\"" + std::string(variant) + "\",device=\"" +
           std::string(device) + "\"} ";
  };
  EXPECT_THAT(page, HasSubstr("framemill_model_up" + labels("large", "cuda:0") + "1\n"));
  EXPECT_THAT(page, HasSubstr("framemill_model_up" + labels("small", "cuda:0") + "0\n"));
  EXPECT_THAT(page, HasSubstr("framemill_model_up" + labels("small", "cuda:1") + "0\n"));
  EXPECT_THAT(page, Not(HasSubstr("framemill_model_up" + labels("large", "cuda:1"))))
      << "it does not have it";
  EXPECT_THAT(page, HasSubstr("framemill_model_outages_total" + labels("small", "cuda:0") + "2\n"));
}

// Promise: one name, one meaning. What framemill keeps a device busy with, and what its card does
// for everybody, are told apart, and each device of the run has both.
TEST(MetricsPage, CardsAreToldBesideWhatTheRunMakesOfThem) {
  GpuMeter meter(FRAMEMILL_FAKE_NVML);
  RunFigures figures;
  figures.devices = {{.device = "tensorrt:0", .name = "Fake H200", .utilization = .25},
                     {.device = "cuda:0#2", .name = "Fake H200", .utilization = .5},
                     {.device = "cpu", .name = "Some processor", .utilization = .75}};
  add_cards(meter.read(), figures.devices);
  ASSERT_EQ(figures.devices.size(), 4U) << "the second card is nobody's";
  const std::string page = metrics_page(RunReport{}, figures, AlarmBoard(1), ServerFigures{});
  const auto has = [&page](std::string_view name, std::string_view device, std::string_view value) {
    const std::string line = "framemill_device_" + std::string(name) + "{device=\"" +
                             std::string(device) + "\"} " + std::string(value);
    return page.find(line) != std::string::npos;
  };
  EXPECT_TRUE(has("utilization_ratio", "tensorrt:0", "0.25\n"));
  EXPECT_TRUE(has("utilization_ratio", "cuda:0#2", "0.5\n"));
  EXPECT_TRUE(has("utilization_ratio", "cpu", "0.75\n"));
  EXPECT_FALSE(has("utilization_ratio", "cuda:1", "")) << "the run makes nothing of it";
  for (const char* device : {"tensorrt:0", "cuda:0#2"}) {
    EXPECT_TRUE(has("card_utilization_ratio", device, "0.87\n"));
    EXPECT_TRUE(has("memory_bytes", device, "4294967296\n"));
    EXPECT_TRUE(has("temperature_celsius", device, "61\n"));
    EXPECT_TRUE(has("power_watts", device, "312.5\n"));
  }
  EXPECT_TRUE(has("memory_bytes", "cuda:1", ""));
  for (const char* name : {"card_utilization_ratio", "temperature_celsius", "power_watts"}) {
    EXPECT_FALSE(has(name, "cuda:1", "")) << "it does not tell";
    EXPECT_FALSE(has(name, "cpu", "")) << "no card";
  }
}

TEST(MetricsPage, KnowsLatenciesBeyondEverySlo) {
  RunReport report;
  LatencyHistogram& latency = report.parted.latency[static_cast<std::size_t>(Priority::kNormal)][0];
  for (const Duration one : {3s, 8s, 45s, 70s}) latency.record(one);
  const std::string page = page_of(report);
  const auto bucket = [](std::string_view bound, int count) {
    return HasSubstr(
        "framemill_answer_latency_seconds_bucket{priority=\"normal\",origin=\"inferred\",le=\"" +
        std::string(bound) + "\"} " + std::to_string(count) + "\n");
  };
  EXPECT_THAT(page, bucket("2", 0));
  EXPECT_THAT(page, bucket("5", 1));
  EXPECT_THAT(page, bucket("10", 2));
  EXPECT_THAT(page, bucket("30", 2));
  EXPECT_THAT(page, bucket("60", 3));
  EXPECT_THAT(page, bucket("120", 4));
}

FidelityFigure figure_of(double value, bool is_of_group) {
  return {.state = FidelityState::kKnown,
          .value = value,
          .low = value - .02,
          .high = value + .01,
          .audits = 200,
          .is_of_group = is_of_group};
}

TEST(MetricsPage, FidelityComesWithItsIntervalAndSaysWhoseItIs) {
  RunReport report;
  report.cameras.resize(3);
  report.cameras[0].id = "own";
  report.cameras[0].fidelity = figure_of(.9, false);
  report.cameras[1].id = "young";
  report.cameras[1].fidelity = figure_of(.95, true);
  report.cameras[2].id = "unknown";
  report.cameras[2].fidelity.emplace();
  report.fidelity = figure_of(.96, false);
  const std::string page = page_of(report);
  EXPECT_THAT(page, HasSubstr("framemill_fidelity_ratio{camera=\"own\"} 0.9\n"));
  EXPECT_THAT(page, HasSubstr("framemill_fidelity_low_ratio{camera=\"own\"} 0.88\n"));
  EXPECT_THAT(page, HasSubstr("framemill_fidelity_high_ratio{camera=\"own\"} 0.91\n"));
  EXPECT_THAT(page, HasSubstr("framemill_fidelity_of_group{camera=\"own\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("framemill_fidelity_ratio{camera=\"young\"} 0.95\n"));
  EXPECT_THAT(page, HasSubstr("framemill_fidelity_of_group{camera=\"young\"} 1\n"));
  EXPECT_THAT(page, Not(HasSubstr("fidelity_ratio{camera=\"unknown\"}")));
  EXPECT_THAT(page, HasSubstr("framemill_run_fidelity_ratio 0.96\n"));
  EXPECT_THAT(page, HasSubstr("framemill_run_fidelity_low_ratio 0.94\n"));
  EXPECT_THAT(page, HasSubstr("framemill_run_fidelity_high_ratio 0.97\n"));
}

TEST(MetricsPage, TheBatchThatTheRuleHasComeToIsTold) {
  RunFigures figures;
  figures.report.batch_frames = 6;
  EXPECT_THAT(metrics_page(RunReport{}, figures, AlarmBoard(1), ServerFigures{}),
              HasSubstr("framemill_batch_frames_max 6\n"));
}

}  // namespace
}  // namespace framemill
