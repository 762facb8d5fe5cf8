#include "framemill/cli/bench_report.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/cli/bench_chart.h"
#include "framemill/cli/bench_page.h"
#include "framemill/cli/bench_sample_for_test.h"

namespace framemill {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST(CompareProfiles, TheSameIsNoChange) {
  const BenchChange change = compare_profiles(sample_profile(), sample_profile());
  EXPECT_THAT(change.warnings, IsEmpty());
  EXPECT_THAT(change.environment, IsEmpty());
  EXPECT_EQ(change.compared, 4U);
  EXPECT_THAT(format_bench_change(change, "old.json"), HasSubstr("no more than 5 %"));
}

TEST(CompareProfiles, WarnsOnlyOfWhatMovedByOverFivePercentAndNamesWhatChanged) {
  DeviceProfile now = sample_profile();
  now.points[0] = sample_point(1, 1, 0, 10.45);  // 4.5 %
  now.points[1] = sample_point(1, 2, 0, 17);     // 6.25 %
  now.points[2] = sample_point(2, 2, 0, 24);     // a quarter faster
  now.environment["runtime"] = "OpenVINO 2";
  now.environment["driver"] = "550";
  now.environment["other_load_cores"] = "1.5";  // differs from run to run
  const BenchChange change = compare_profiles(sample_profile(), now);
  EXPECT_THAT(change.warnings,
              ElementsAre(HasSubstr("batch 1, 2 streams: p50 16.0 -> 17.0 ms (+6 %)"),
                          HasSubstr("batch 2, 2 streams: p50 32.0 -> 24.0 ms (-25 %)")));
  EXPECT_THAT(change.environment,
              ElementsAre("driver: not known -> 550", "runtime: OpenVINO 1 -> OpenVINO 2"));
  EXPECT_THAT(format_bench_change(change, "old.json"), HasSubstr("took 0 cores then, 1.5 now"));
  EXPECT_THAT(format_bench_change(change, "old.json"),
              AllOf(HasSubstr("warning: the latency moved by over 5 % since old.json"),
                    HasSubstr("runtime: OpenVINO 1 -> OpenVINO 2")));
}

TEST(CompareProfiles, ASlowdownWithoutACauseIsSaidToBeOne) {
  DeviceProfile now = sample_profile();
  now.points[0] = sample_point(1, 1, 0, 20);
  EXPECT_THAT(format_bench_change(compare_profiles(sample_profile(), now), "old.json"),
              HasSubstr("the environment is the same"));
}

TEST(CompareProfiles, AnotherArithmeticOrRuntimeIsTheLikelyCause) {
  DeviceProfile before = sample_profile();
  before.environment["arithmetic"] = "auto";
  before.environment["backend"] = "openvino";
  DeviceProfile now = before;
  now.points[0] = sample_point(1, 1, 0, 20);
  EXPECT_EQ(compare_profiles(before, now).likely_cause, "");
  now.environment["backend"] = "onnxruntime";
  EXPECT_EQ(compare_profiles(before, now).likely_cause,
            "the runtime was openvino then and is onnxruntime now");
  now.environment["arithmetic"] = "bf16";
  const std::string text = format_bench_change(compare_profiles(before, now), "old.json");
  EXPECT_THAT(text,
              AllOf(HasSubstr("the likely cause: the arithmetic asked for was auto then and is "
                              "bf16 now"),
                    HasSubstr("backend: openvino -> onnxruntime"),
                    Not(HasSubstr("other work is the likely cause"))));
}

// Of older framemills, which did not write the keys.
TEST(CompareProfiles, WhatAnOlderProfileDoesNotSayIsNoChange) {
  DeviceProfile now = sample_profile();
  now.points[0] = sample_point(1, 1, 0, 20);
  now.environment.insert({{"arithmetic", "auto"}, {"backend", "openvino"}, {"cuda", "13.0"}});
  const BenchChange change = compare_profiles(sample_profile(), now);
  EXPECT_THAT(change.environment, IsEmpty());
  EXPECT_THAT(format_bench_change(change, "old.json"), HasSubstr("the environment is the same"));
  now.environment["arithmetic"] = "bf16";
  EXPECT_THAT(format_bench_change(compare_profiles(sample_profile(), now), "old.json"),
              HasSubstr("the arithmetic asked for is bf16 now, and the older profile does not say "
                        "its own"));
}

TEST(CompareProfiles, AnotherModelIsNotCompared) {
  DeviceProfile now = sample_profile();
  now.model_sha256 = std::string(64, 'b');
  now.points[0] = sample_point(1, 1, 0, 20);
  const BenchChange change = compare_profiles(sample_profile(), now);
  EXPECT_TRUE(change.is_other_model);
  EXPECT_THAT(change.warnings, IsEmpty());
  EXPECT_THAT(format_bench_change(change, "old.json"), HasSubstr("another measurement"));
  now = sample_profile();
  now.model = "renamed.onnx";  // the same bytes
  EXPECT_FALSE(compare_profiles(sample_profile(), now).is_other_model);
}

TEST(BenchTable, ShowsEverySettingAndMarksTheKnee) {
  const std::string table = format_bench_table(sample_profile());
  EXPECT_THAT(table, HasSubstr("gate.onnx int8, 640x384, on CPU (Fast 9000)"));
  EXPECT_THAT(table, HasSubstr("knee, run"));
  EXPECT_THAT(table, HasSubstr("knee: batch 1, 2 streams; `run` keeps 2 in flight"));
  EXPECT_THAT(table,
              HasSubstr("a run of 4 cameras, 10 frames/s each: 39.8 inferred/s; batch 1, 1 in "
                        "flight: p50 20.0 ms, p95 24.5 ms"));
  EXPECT_THAT(table, Not(HasSubstr("  W")));  // no power: no column
  DeviceProfile profile = sample_profile();
  profile.points[0].power_w = 31.25;
  EXPECT_THAT(format_bench_table(profile), HasSubstr("31.2"));
  EXPECT_THAT(format_bench_table(profile), Not(HasSubstr("card MB")));
  profile.points[0].device_bytes = 1'234'000'000;
  EXPECT_THAT(format_bench_table(profile), AllOf(HasSubstr("card MB"), HasSubstr("1234")));
}

TEST(RoundTicks, ReachPastTheMostInFewRoundSteps) {
  for (const double most : {1e-6, .03, .99, 1.0, 7.3, 99.0, 101.0, 349.3, 12345.0, 1e9}) {
    const std::vector<double> ticks = round_ticks(most);
    EXPECT_EQ(ticks.front(), 0) << most;
    EXPECT_GE(ticks.back(), most * (1 - 1e-9)) << most;
    EXPECT_THAT(ticks, SizeIs(testing::AllOf(testing::Ge(3U), testing::Le(7U)))) << most;
  }
}

TEST(BenchPage, IsWholeAndEscapesWhatItWasGiven) {
  DeviceProfile profile = sample_profile();
  profile.model = "<script>x</script>.onnx";
  profile.environment["evil"] = "\"><img src=x>";
  BenchPageExtras extras{.notes = {"a <b> note"}, .before_name = "<old>.json"};
  const std::string page = to_bench_page(profile, extras);
  EXPECT_EQ(page, to_bench_page(profile, extras));
  EXPECT_THAT(page, Not(HasSubstr("<script>x")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("<b> note")));
  EXPECT_THAT(page, Not(HasSubstr("<old>")));
  for (const char* const part : {"Larger batches", "More streams", "Distribution of the latency",
                                 "All settings", "Decoding", "8 cameras decoded beside"})
    EXPECT_THAT(page, HasSubstr(part));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
}

TEST(BenchPage, StandsWithASinglePoint) {
  DeviceProfile profile = sample_profile();
  profile.knee_streams = profile.run_streams = 1;
  profile.points = {sample_point(1, 1, 0, 10)};
  profile.points[0].service.percentiles.clear();
  profile.decode.clear();
  const std::string page = to_bench_page(profile, {});
  EXPECT_THAT(page, HasSubstr("single pictures only"));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace framemill
