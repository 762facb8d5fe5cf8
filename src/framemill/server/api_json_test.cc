#include "framemill/server/api_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace framemill {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RunFigures figures_of(SinkCounts sink) {
  RunFigures figures;
  figures.report.sinks.push_back(std::move(sink));
  return figures;
}

TEST(ApiJson, ASinkThatWorksAgainIsNoTrouble) {
  RunFigures figures = figures_of({.name = "events.db",
                                   .last_error = "events.db: no space left",
                                   .is_failing = true,
                                   .spool = {}});
  EXPECT_THAT(troubles_of(figures.report), ElementsAre("a sink fails"));
  EXPECT_EQ(run_json(figures)["sinks"][0]["error"], "events.db: no space left");
  figures.report.sinks[0].is_failing = false;
  EXPECT_THAT(troubles_of(figures.report), IsEmpty());
  EXPECT_FALSE(run_json(figures)["sinks"][0].contains("error"));
}

TEST(ApiJson, APeerThatIsGoneIsToldWhileItIs) {
  RunFigures figures = figures_of(
      {.name = "mqtt",
       .written = 1000,
       .last_error = {},
       .spool = {.waiting = 900, .dropped = 100, .retries = 7, .last_error = "refused"}});
  EXPECT_THAT(troubles_of(figures.report),
              ElementsAre("a sink cannot deliver, what is meant for its peer waits on disk"));
  const nlohmann::ordered_json sink = run_json(figures)["sinks"][0];
  EXPECT_FALSE(sink.contains("error")) << "its own disk works";
  EXPECT_EQ(sink["spool"]["error"], "refused");
  EXPECT_EQ(sink["spool"]["waiting"], 900);
  EXPECT_EQ(sink["spool"]["dropped"], 100);
  figures.report.sinks[0].spool.last_error.clear();
  EXPECT_THAT(troubles_of(figures.report), IsEmpty());
}

/// Two models, the second with a rung, on two devices that have all of them.
RunFigures figures_of_two_devices() {
  RunFigures figures;
  RunReport& report = figures.report;
  report.model_names = {"objects", "defects"};
  report.ladders = {{"yolo"}, {"steel", "steel_small"}};
  for (const char* const name : {"cuda:0", "cuda:1"}) {
    DeviceReport& device = report.devices.emplace_back();
    device.name = name;
    device.hosted = {{{.is_hosted = true}}, {{.is_hosted = true}, {.is_hosted = true}}};
  }
  return figures;
}

TEST(ApiJson, AModelThatIsOutOnADeviceIsATroubleAndMoreSoWhereNoOtherStandsIn) {
  RunReport report = figures_of_two_devices().report;
  EXPECT_THAT(troubles_of(report), IsEmpty());
  const auto out = [](bool is_elsewhere) {
    return LaneOutReport{.model = 1,
                         .variant = "steel@640x384",
                         .last_error = "a secret of rtsp://10.0.0.7/",
                         .is_elsewhere = is_elsewhere};
  };
  report.devices[0].lanes_out = {out(true)};
  EXPECT_THAT(troubles_of(report),
              ElementsAre("model defects (steel@640x384) is out on device cuda:0"));
  for (DeviceReport& device : report.devices) device.lanes_out = {out(false)};
  EXPECT_THAT(troubles_of(report),
              ElementsAre("model defects (steel@640x384) is out on device cuda:0",
                          "model defects (steel@640x384) is out on device cuda:1",
                          "no device is left that serves model defects (steel@640x384)"));
}

TEST(ApiJson, ModelsThatAreOnALostDeviceAloneAreNamed) {
  RunReport report = figures_of_two_devices().report;
  report.devices[0].hosted[1][1].is_hosted = false;
  report.devices[1].is_serving = false;
  report.devices[1].reason = OutReason::kHung;
  EXPECT_THAT(troubles_of(report),
              ElementsAre("device cuda:1 is out (hung)",
                          "no device is left that serves model defects (steel_small)"));
  report.devices[0].is_serving = false;
  report.devices[0].reason = OutReason::kGone;
  EXPECT_THAT(troubles_of(report),
              ElementsAre("device cuda:0 is out (gone)", "device cuda:1 is out (hung)"));
}

TEST(ApiJson, ADeviceSaysWhichModelsAreOutThere) {
  RunFigures figures = figures_of_two_devices();
  DeviceFigures& device = figures.devices.emplace_back();
  EXPECT_EQ(run_json(figures)["devices"][0]["models_out"], nlohmann::ordered_json::array());
  device.model_outages = 3;
  device.lanes_out = {{.model = 1,
                       .variant = "steel@640x384",
                       .last_error = "no such operator",
                       .out_for = std::chrono::seconds(5),
                       .is_elsewhere = true}};
  const nlohmann::ordered_json json = run_json(figures)["devices"][0];
  EXPECT_EQ(json["model_outages"], 3);
  const nlohmann::ordered_json wanted{{"model", "defects"},
                                      {"variant", "steel@640x384"},
                                      {"out_s", 5.0},
                                      {"stands_in", true},
                                      {"last_error", "no such operator"}};
  EXPECT_EQ(json["models_out"], nlohmann::ordered_json::array({wanted}));
}

}  // namespace
}  // namespace framemill
