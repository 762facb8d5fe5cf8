// Whether cameras and models fit into the memory is said before a run finds out, with what to do.

#include "framemill/cli/doctor_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

/// So many cameras on a machine of 8 GB that does all they ask for.
DoctorReport report_of(std::size_t cameras, Size size) {
  DoctorReport report;
  report.machine = {.cpu_features = {"avx", "avx2"},
                    .cores = 64,
                    .machine_cores = 64,
                    .memory_bytes = 8'000'000'000,
                    .memory_available_bytes = 7'000'000'000};
  report.ffmpeg.decoders = {"h264"};
  report.runtimes = {{.name = "OpenVINO 1", .devices = {"CPU: Fast 9000"}}};
  report.models = {
      {.name = "objects", .frames_per_s = 1e6, .service_p95 = 20ms, .host_bytes = 200'000'000}};
  report.cameras.assign(cameras, {.id = "cam",
                                  .codec = "h264",
                                  .size = size,
                                  .frame_rate_hz = 25,
                                  .decode_time = 1us,
                                  .sampled_hz = 10,
                                  .slo = 200ms});
  return report;
}

// The peaks of the runs "Graceful" and "Dense" in README, of cameras of about 640x360.
TEST(DoctorMemory, TheSumIsWhatWholeRunsTook) {
  for (const auto& [cameras, measured] :
       {std::pair(20U, 20 * 16.4e6), std::pair(50U, 50 * 13.1e6)}) {
    DoctorReport report = report_of(cameras, {640, 360});
    report.models[0].host_bytes = 100'000'000;
    const auto total = static_cast<double>(estimate_memory(report).total_bytes());
    EXPECT_NEAR(total / measured, 1, .25) << cameras;
  }
}

TEST(DoctorMemory, WhatFitsIsSaidAndNothingIsToBeDone) {
  DoctorReport report = report_of(50, {640, 360});
  diagnose(report);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_EQ(report.memory.models_bytes, 200'000'000);
  EXPECT_EQ(report.memory.limit_bytes, 6'800'000'000);
  EXPECT_TRUE(report.memory.is_known);
  EXPECT_THAT(format_doctor_report(report), HasSubstr("models 200 MB"));
  const auto json = nlohmann::json::parse(to_doctor_json(report));
  EXPECT_EQ(json["memory"]["total_bytes"], report.memory.total_bytes());
  EXPECT_EQ(json["memory"]["complete"], true);
}

TEST(DoctorMemory, TooManyCamerasAreTheFirstThingToFix) {
  DoctorReport report = report_of(400, {1920, 1080});
  for (CheckedModel& model : report.models) model.frames_per_s = 10;  // too slow as well
  diagnose(report);
  ASSERT_THAT(report.findings, Not(IsEmpty()));
  const Finding& first = report.findings.front();
  EXPECT_EQ(first.kind, Finding::Kind::kFix);
  EXPECT_THAT(first.text,
              AllOf(HasSubstr("400 cameras need about"), HasSubstr("6.8 GB are what may be used of "
                                                                   "this machine's (85 %)")));
  EXPECT_THAT(first.remedy, AllOf(HasSubstr("a smaller stream"), HasSubstr("add memory")));
  // The remedy is one: so many as it says do fit.
  const std::int64_t room =
      report.memory.limit_bytes - report.memory.models_bytes - report.memory.process_bytes;
  const auto fit =
      static_cast<std::size_t>(static_cast<double>(room) / camera_memory_bytes({1920, 1080}));
  EXPECT_THAT(first.remedy, HasSubstr("about " + std::to_string(fit) + " such cameras"));
  for (const auto& [cameras, is_enough] : {std::pair(fit, true), std::pair(fit + 1, false)}) {
    DoctorReport fewer = report_of(cameras, {1920, 1080});
    fewer.machine.memory_available_bytes = 8'000'000'000;
    diagnose(fewer);
    EXPECT_EQ(!fewer.has_to_be_fixed(), is_enough) << cameras;
  }
}

// plan counts the same memory, and need not say so again.
TEST(DoctorMemory, WhatIsTooMuchIsSaidOnce) {
  DoctorReport report = report_of(400, {1920, 1080});
  diagnose(report);
  EXPECT_THAT(report.findings, SizeIs(1));
}

TEST(DoctorMemory, ModelsThatTakeMostAreWhatToMakeSmaller) {
  DoctorReport report = report_of(4, {640, 360});
  report.models[0].host_bytes = 7'000'000'000;
  diagnose(report);
  ASSERT_THAT(report.findings, Not(IsEmpty()));
  EXPECT_THAT(report.findings[0].remedy,
              AllOf(HasSubstr("smaller models"), HasSubstr("add memory to the machine")));
  report.machine.memory_bytes = 64'000'000'000;
  report.machine.memory_limit_bytes = 6'000'000'000;
  report.machine.memory_used_bytes = 100'000'000;
  diagnose(report);
  ASSERT_THAT(report.findings, Not(IsEmpty()));
  EXPECT_THAT(report.findings[0].text, HasSubstr("of the container's"));
  EXPECT_THAT(report.findings[0].remedy, HasSubstr("raise the container's limit"));
}

TEST(DoctorMemory, WhatIsTakenByOthersNowIsAnAdvice) {
  DoctorReport report = report_of(100, {640, 360});
  report.machine.memory_available_bytes = 600'000'000;
  diagnose(report);
  EXPECT_FALSE(report.has_to_be_fixed());
  EXPECT_THAT(report.findings,
              Contains(AllOf(Field(&Finding::text, HasSubstr("600 MB are free now")),
                             Field(&Finding::remedy, HasSubstr("end what else runs")))));
}

TEST(DoctorMemory, ACameraThatDoesNotAnswerCountsAsALargeOne) {
  DoctorReport report = report_of(1, {});
  report.cameras[0].error = "no route to host";
  const MemoryNeed need = estimate_memory(report);
  EXPECT_EQ(need.cameras_bytes, static_cast<std::int64_t>(camera_memory_bytes({1920, 1080})));
  EXPECT_FALSE(need.is_known);
}

// What is not known of the machine says nothing.
TEST(DoctorMemory, AMachineThatDoesNotSayIsNotJudged) {
  DoctorReport report = report_of(400, {1920, 1080});
  report.machine.memory_bytes = report.machine.memory_available_bytes = 0;
  diagnose(report);
  EXPECT_THAT(report.findings, IsEmpty());
}

}  // namespace
}  // namespace framemill
