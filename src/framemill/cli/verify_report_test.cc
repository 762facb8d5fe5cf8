#include "framemill/cli/verify_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace framemill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

VerifyReport sample() {
  VerifyReport report{.workload = "yard",
                      .length = 30s,
                      .capacity_per_s = 100,
                      .demand_per_s = 80,
                      .cores_busy = 1.5,
                      .is_conserved = true};
  report.classes.push_back({.priority = Priority::kCritical,
                            .cameras = 4,
                            .predicted = {.sampled_per_s = 40,
                                          .in_time_per_s = 40,
                                          .inferred_per_s = 40,
                                          .share_inferred = 1,
                                          .p50 = 20ms,
                                          .p95 = 40ms,
                                          .p99 = 50ms},
                            .measured = LoadFigures{.sampled_per_s = 40,
                                                    .in_time_per_s = 38,
                                                    .inferred_per_s = 38,
                                                    .share_inferred = .95,
                                                    .p50 = 21ms,
                                                    .p95 = 44ms,
                                                    .p99 = 80ms}});
  return report;
}

TEST(VerifyReport, ErrorsAreOfThePrediction) {
  EXPECT_NEAR(error_of(40, 44), .1, 1e-9);
  EXPECT_NEAR(error_of(40, 38), -.05, 1e-9);
  EXPECT_DOUBLE_EQ(error_of(0, 0), 0);
  EXPECT_DOUBLE_EQ(error_of(0, 3), 1);
}

TEST(VerifyReport, TableHasPredictedBesideMeasured) {
  const std::string table = verify_table(sample());
  EXPECT_THAT(table, HasSubstr("critical     sampled frames/s         40.000     40.000    +0.0%"));
  EXPECT_THAT(table, HasSubstr("inferred, p95 ms         40.000     44.000   +10.0%"));
  EXPECT_THAT(table, Not(HasSubstr("do not add up")));
  EXPECT_THAT(table, Not(HasSubstr("devices")));
  VerifyReport wrong = sample();
  wrong.is_conserved = false;
  EXPECT_THAT(verify_table(wrong), HasSubstr("do not add up"));
}

TEST(VerifyReport, HowFarTheMachineDriftedStandsBesideTheError) {
  VerifyReport report = sample();
  report.speed = .8;
  report.classes[0].predicted_at_speed = report.classes[0].predicted;
  report.classes[0].predicted_at_speed->p95 = 44ms;
  const std::string table = verify_table(report);
  EXPECT_THAT(table, HasSubstr("the models ran at 80.0 % of the profile's speed"));
  EXPECT_THAT(table, HasSubstr("40.000     44.000   +10.0%         44.000    +0.0%"));
  const auto json = nlohmann::json::parse(verify_json(report));
  EXPECT_DOUBLE_EQ(json["speed"], .8);
  EXPECT_DOUBLE_EQ(json["classes"][0]["predicted_at_speed"]["p95_ms"], 44);
}

TEST(VerifyReport, WhatWasNotPlayedHasNoErrors) {
  VerifyReport report = sample();
  report.length = 0s;
  report.is_conserved = false;
  report.classes[0].measured.reset();
  const std::string table = verify_table(report);
  EXPECT_THAT(table, HasSubstr("inferred, p95 ms         40.000\n"));
  EXPECT_THAT(table, Not(HasSubstr("do not add up")));
  EXPECT_THAT(table, Not(HasSubstr("error")));
  EXPECT_TRUE(nlohmann::json::parse(verify_json(report))["classes"][0]["measured"].is_null());
}

TEST(VerifyReport, SaysThatItIsOneOfSeveralDevices) {
  VerifyReport report = sample();
  report.devices = 3;
  EXPECT_THAT(verify_table(report), HasSubstr("; what one of 3 devices gets"));
  EXPECT_EQ(nlohmann::json::parse(verify_json(report))["devices"], 3);
}

TEST(VerifyReport, JsonHasBoth) {
  const auto json = nlohmann::json::parse(verify_json(sample()));
  EXPECT_EQ(json["schema"], "framemill.verify/1");
  const auto& critical = json["classes"][0];
  EXPECT_EQ(critical["priority"], "critical");
  EXPECT_EQ(critical["cameras"], 4);
  EXPECT_DOUBLE_EQ(critical["predicted"]["p95_ms"], 40);
  EXPECT_DOUBLE_EQ(critical["measured"]["share_inferred"], .95);
}

}  // namespace
}  // namespace framemill
