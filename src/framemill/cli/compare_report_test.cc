#include "framemill/cli/compare_report.h"

#include <algorithm>
#include <limits>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "framemill/cli/compare_sample_for_test.h"

namespace framemill {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(CompareTable, HasARowForEachRun) {
  const Comparison comparison = make_comparison_for_test("x");
  const std::vector<std::string> lines = lines_of(format_compare_table(comparison));
  ASSERT_GE(lines.size(), 9U);
  EXPECT_THAT(lines[0], HasSubstr("6 clips, 720 sampled frames, 600 sure detections"));
  // Two of 120 frames of five clips are lost: 98 is inferred no more than 49 is.
  EXPECT_THAT(lines[4], HasSubstr("adaptive   budget .2 x      0.200 0.9833 1.0000 1.0000"));
  EXPECT_THAT(lines[4], HasSubstr("0/5  0.250"));
  EXPECT_THAT(lines[6], HasSubstr("baseline          baseline"));
  for (std::size_t i = 2; i < 9; ++i) EXPECT_LE(lines[i].size(), 126U) << lines[i];
}

TEST(CompareTable, NamesTheClipsBehindTheBaseline) {
  Comparison comparison = make_comparison_for_test("gate-");
  comparison.runs[1].clips[2].baseline->is_ahead = true;
  comparison.runs[1].against_baseline->clips_behind = {2};
  comparison.runs[4].policy = "similarity";
  EXPECT_THAT(format_compare_table(comparison),
              HasSubstr("behind hold: adaptive budget .1: gate-2: recall 0.9"));
  comparison.runs[1].against_baseline->clips_behind.assign(30, 2);
  EXPECT_THAT(format_compare_table(comparison), HasSubstr("... and 10 more\n"));
}

TEST(CompareTable, TakesAnEmptyComparison) {
  EXPECT_THAT(format_compare_table({}), HasSubstr("policy"));
}

TEST(CompareJson, HoldsTheFigures) {
  const Comparison comparison = make_comparison_for_test("gate-");
  const Json json = Json::parse(to_compare_json(comparison));
  EXPECT_EQ(json["schema"], "framemill.compare/1");
  EXPECT_EQ(json["headline"]["policy"], "adaptive");
  EXPECT_EQ(json["settings"]["seed"], 1);
  EXPECT_EQ(json["settings"]["score_given"], .25);
  EXPECT_EQ(json["models"][0]["hash"], "5c1f");
  EXPECT_EQ(json["cameras"].size(), 6U);
  EXPECT_EQ(json["runs"].size(), 5U);
  const Json& run = json["runs"][0];
  EXPECT_EQ(run["share_inferred"], .2);
  EXPECT_EQ(run["frames"], 720);
  EXPECT_EQ(run["motion_ms_per_frame"], .25);
  EXPECT_NEAR(run["pooled"]["recall"].get<double>(), comparison.runs[0].pooled.recall, 1e-6);
  EXPECT_EQ(run["macro_clips"], 5);
  EXPECT_GT(run["against_hold"]["misses"]["ratio"], 0);
  EXPECT_TRUE(run["against_hold"]["sure_errors"].is_null()) << "hold makes none here";
  EXPECT_EQ(run["clips"][3]["camera"], "gate-3");
  EXPECT_EQ(run["clips"][3]["counts"]["wanted"], 120);
  EXPECT_TRUE(json["runs"][2]["against_hold"].is_null());
  EXPECT_TRUE(json["runs"][2]["motion_ms_per_frame"].is_null());
  ASSERT_EQ(json["worst_misses"].size(), 3U);
  EXPECT_EQ(json["worst_misses"][0]["camera"], "gate-0");
  EXPECT_EQ(json["worst_misses"][0]["origin"], "propagated");
  EXPECT_EQ(json["worst_misses"][0]["box"].size(), 4U);
}

TEST(CompareJson, GivesTheSameBytesForTheSameComparison) {
  EXPECT_EQ(to_compare_json(make_comparison_for_test("x")),
            to_compare_json(make_comparison_for_test("x")));
}

TEST(CompareJson, SurvivesHostileTextAndFiguresThatAreNone) {
  Comparison comparison = make_comparison_for_test("\"}\\ \n\xFF</script>");
  comparison.runs[0].against_baseline->misses->high = std::numeric_limits<double>::infinity();
  comparison.context.made_at.clear();
  comparison.context.inference_ms_per_frame.reset();
  const Json json = Json::parse(to_compare_json(comparison));
  EXPECT_EQ(json["cameras"][0]["camera"], "\"}\\ \n\xEF\xBF\xBD</script>0");
  EXPECT_TRUE(json["runs"][0]["against_hold"]["misses"]["high"].is_null());
  EXPECT_TRUE(json["made_at"].is_null());
  EXPECT_TRUE(json["inference_ms_per_frame"].is_null());
}

TEST(CompareJson, TakesAnEmptyComparison) {
  const Json json = Json::parse(to_compare_json({}));
  EXPECT_TRUE(json["headline"].is_null());
  for (const char* const list : {"runs", "cameras", "models", "worst_misses"})
    EXPECT_EQ(json[list], Json::array()) << list;
}

}  // namespace
}  // namespace framemill
