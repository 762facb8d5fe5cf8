#include "framemill/cli/eval_report.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "framemill/cli/eval_options.h"
#include "framemill/cli/eval_page.h"

namespace framemill {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

/// Two models on 20 pictures of two classes; the model misses the second class. `name` becomes part
/// of every text that comes from outside.
EvalReport make_report(const std::string& name, bool is_labelled = true) {
  std::vector<std::vector<LabelledObject>> objects(20);
  std::vector<std::vector<Detection>> reference(20), found(20);
  EvalReport report;
  Evaluation& e = report.evaluation;
  e.labels = {"car " + name, "person " + name};
  for (std::size_t i = 0; i < 20; ++i) {
    for (int class_id = 0; class_id < 2; ++class_id) {
      const Box box{static_cast<float>(100 * class_id), 10, static_cast<float>(100 * class_id + 50),
                    80};
      objects[i].push_back({.class_id = class_id, .box = box, .area = 50 * 70});
      reference[i].push_back({.class_id = class_id, .score = .8F, .box = box});
      if (class_id == 0) found[i].push_back({.class_id = class_id, .score = .7F, .box = box});
    }
    e.pictures.push_back(
        {.name = name + std::to_string(i), .size = {320, 200}, .objects = objects[i]});
  }
  ConditionReport clean{.name = "clean", .agreement = compare_detections(reference, found, 2)};
  if (is_labelled) {
    const MatchTable ours = match_pictures(objects, found, 2);
    const MatchTable theirs = match_pictures(objects, reference, 2);
    const auto quality = [](const MatchTable& table) {
      return ModelQuality{.ap = average_precision(table),
                          .operating = operating_report(table, .35),
                          .best = best_score(table)};
    };
    clean.model = quality(ours);
    clean.reference = quality(theirs);
    clean.loss = compare_ap(clean.reference->ap, resample_quality(theirs, 50, 1), clean.model->ap,
                            resample_quality(ours, 50, 1));
    e.objects = 40;
    report.context.format = LabelFormat::kYolo;
  }
  e.violations = find_violations("clean", *clean.agreement, clean.loss, e.labels, {});
  e.verdict = Verdict::kNotConsistent;
  e.compared = 40;
  e.conditions.push_back(std::move(clean));
  e.score = .35;
  e.worst.push_back({.picture = 3,
                     .condition = "clean",
                     .badness = .8,
                     .missed = 1,
                     .left = reference[3],
                     .right = found[3],
                     .is_left_bad = {false, true},
                     .is_right_bad = {false},
                     .jpeg = {1, 2, 3}});
  e.notes = {"note " + name};
  e.problems = {"broken " + name};
  report.context.command = "framemill eval " + name;
  report.context.data_path = name;
  report.context.split = "val " + name;
  report.context.model =
      EvaluatedModel{.facts = {.name = "model " + name}, .speed = {10, 12, 90, 1}};
  report.context.reference = EvaluatedModel{.facts = {.name = "other " + name}};
  return report;
}

TEST(EvalJson, SaysWhatWasFound) {
  const EvalReport report = make_report("x");
  const Json json = Json::parse(to_eval_json(report));
  EXPECT_EQ(json["schema"], "framemill.eval/1");
  EXPECT_EQ(json["verdict"], "not consistent");
  EXPECT_EQ(json["models"][0]["role"], "model");
  EXPECT_EQ(json["models"][0]["speed"]["median_ms"], 10);
  EXPECT_EQ(json["models"][1]["speed"], nullptr);  // not measured
  const Json& clean = json["conditions"][0];
  EXPECT_EQ(clean["model"]["ap"], .5);
  EXPECT_EQ(clean["reference"]["ap"], 1);
  EXPECT_EQ(clean["ap_loss"]["all"]["value"], .5);
  EXPECT_EQ(clean["ap_loss"]["small"], nullptr);  // there are none
  EXPECT_EQ(clean["model"]["classes"][1]["recall"], 0);
  EXPECT_EQ(clean["agreement"]["recall"], .5);
  EXPECT_EQ(json["violations"][0]["what"], "ap_loss");
  EXPECT_EQ(json["data"]["split"], "val x");
  EXPECT_EQ(json["problems"][0], "broken x");
  EXPECT_EQ(to_eval_json(report), to_eval_json(make_report("x")));
}

TEST(EvalJson, SurvivesTextsThatAreNoUtf8) {
  EXPECT_TRUE(Json::accept(to_eval_json(make_report("\xff\"<b>\n"))));
}

TEST(EvalTable, FitsATerminalAndNamesTheReasons) {
  for (const bool is_labelled : {true, false}) {
    const std::string table = format_eval_table(make_report("x", is_labelled));
    EXPECT_THAT(table, HasSubstr("not consistent:"));
    EXPECT_THAT(table, HasSubstr("class \"person x\""));
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("  clean: ")) {
        EXPECT_LE(line.size(), 100U) << line;
      }
    }
  }
}

TEST(EvalReport, SaysThatNothingWasShown) {
  EvalReport report = make_report("x", false);
  report.evaluation.violations.clear();
  report.evaluation.verdict = Verdict::kNotShown;
  report.evaluation.compared = 0;
  report.evaluation.conditions[0].agreement = AgreementReport{};
  const char* const words = "0 sure detections were compared, fewer than 20";
  const std::string table = format_eval_table(report);
  EXPECT_THAT(table, HasSubstr(std::string("not shown: ") + words));
  EXPECT_THAT(table, Not(HasSubstr("1.0000")));
  const std::string page = to_eval_page(report);
  EXPECT_THAT(page, HasSubstr("class=\"verdict bad\">not shown<"));
  EXPECT_THAT(page, HasSubstr(words));
  const Json json = Json::parse(to_eval_json(report));
  EXPECT_EQ(json["verdict"], "not shown");
  EXPECT_EQ(json["compared"], 0);
  for (const char* const figure : {"agreement", "recall", "sure_precision"})
    EXPECT_EQ(json["conditions"][0]["agreement"][figure], nullptr) << figure;
}

TEST(EvalPage, ShowsTextsFromOutsideAsThemselves) {
  for (const bool is_labelled : {true, false}) {
    const std::string page =
        to_eval_page(make_report("</title><script>alert(1)</script>", is_labelled));
    EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
    EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)"));
    EXPECT_THAT(page, Not(HasSubstr("nan")));
    EXPECT_THAT(page, HasSubstr("box missed"));
    for (const char* const outside : {"src=\"http", "href=\"http", "@import", "url("})
      EXPECT_THAT(page, Not(HasSubstr(outside)));
    for (const char* const tag :
         {"section", "table", "svg", "div", "figure", "g", "ul", "details"}) {
      std::size_t open = 0, closed = 0;
      const std::string begin = std::string("<") + tag, end = std::string("</") + tag + ">";
      for (std::size_t at = page.find(begin); at != std::string::npos;
           at = page.find(begin, at + 1))
        open += page[at + begin.size()] == '>' || page[at + begin.size()] == ' ' ? 1 : 0;
      for (std::size_t at = page.find(end); at != std::string::npos; at = page.find(end, at + 1))
        ++closed;
      EXPECT_EQ(open, closed) << tag;
    }
  }
}

TEST(EvalOptions, TurnIntoARequest) {
  const std::string demo = FRAMEMILL_SOURCE_DIR "/demo/models/";
  const auto request = parse_eval_options({demo + "line_int8.onnx", "--data", "my data",
                                           "--against", demo + "line_fp32.onnx", "--conditions",
                                           "noise", "--classes", "a, b", "--ap-loss", "0.02"});
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_THAT(request->run.conditions,
              testing::ElementsAre(Degradation::kNone, Degradation::kNoise));  // clean always
  EXPECT_THAT(request->options.classes, testing::ElementsAre("a", "b"));
  EXPECT_EQ(request->options.limits.ap_loss, .02);
  EXPECT_EQ(request->options.limits.agreement, .97);
  EXPECT_THAT(request->command, HasSubstr("--data 'my data'"));
  ASSERT_TRUE(request->other);
  const auto all = parse_eval_options(
      {demo + "line_int8.onnx", "--data", "d", "--against", demo + "line_fp32.onnx"});
  ASSERT_TRUE(all);
  EXPECT_THAT(all->run.conditions, testing::SizeIs(kDegradations));
  const auto one = parse_eval_options({demo + "line_int8.onnx", "--data", "d"});
  ASSERT_TRUE(one);
  EXPECT_THAT(one->run.conditions, testing::SizeIs(1));
}

}  // namespace
}  // namespace framemill
