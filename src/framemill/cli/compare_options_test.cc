#include "framemill/cli/compare_options.h"

#include <sstream>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

const std::string kConfigs = std::string(FRAMEMILL_SOURCE_DIR) + "/tests/golden/config/";
const std::string kClip = "--source a/clip.mp4 --model m.onnx ";

/// Arguments from words; no argument of these tests holds a space.
Result<CompareRequest> parse(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> arguments;
  for (std::string word; stream >> word;) arguments.push_back(word);
  return parse_compare_options(arguments);
}

std::string problem_of(const std::string& line) {
  const Result<CompareRequest> request = parse(line);
  return request ? "none" : request.error().message();
}

std::vector<std::string> labels_of(const CompareRequest& request) {
  std::vector<std::string> labels;
  for (const PolicyVariant& variant : request.variants)
    labels.push_back(std::string(to_string(variant.policy)) + " " + variant.label);
  return labels;
}

TEST(ParseCompareOptions, DefaultsCompareThreePoliciesOnTheirCurves) {
  const Result<CompareRequest> request = parse(kClip);
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_THAT(request->variants, SizeIs(5 + 7 + 5));
  EXPECT_EQ(request->settings.models[0].score, .2);
  EXPECT_EQ(request->settings.engine.audit, 0);
  EXPECT_EQ(request->settings.engine.pace, Pace::kFast);
  EXPECT_EQ(request->settings.server.listen, "off");
  EXPECT_EQ(request->fidelity, .98);
  EXPECT_EQ(request->seed, 1U);
  EXPECT_TRUE(request->out_dir.empty());
  EXPECT_FALSE(request->is_json_wanted);
}

TEST(ParseCompareOptions, ReadsItsOwnOptionsAndThoseOfRun) {
  const Result<CompareRequest> request = parse(
      "--source a/clip.mp4,every=3 --source b.mp4 --model m.onnx --labels coco --nms-iou .5 "
      "--rate 5 --motion flow --answer-delay 100ms --max-answers 7 --slo 100ms --tick 50ms "
      "--policies adaptive,similarity,hold --budgets .2,30/s,1 --similarities=.9 --score .3 "
      "--fidelity .95 --seed 7 --out report --json");
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_THAT(labels_of(*request),
              ElementsAre("adaptive budget 0.2", "adaptive budget 30/s", "adaptive budget 1",
                          "similarity threshold 0.9", "hold budget 0.2", "hold budget 30/s",
                          "hold budget 1"));
  const RunSettings& settings = request->settings;
  EXPECT_EQ(settings.cameras[0].every, 3);
  EXPECT_EQ(settings.cameras[1].rate_hz, 5);
  EXPECT_EQ(settings.models[0].score, .3);
  EXPECT_EQ(settings.engine.motion, MotionMethod::kFlow);
  EXPECT_EQ(settings.engine.answer_delay, std::chrono::milliseconds(100));
  EXPECT_EQ(settings.engine.max_answers, 7);
  EXPECT_EQ(request->out_dir, "report");
  EXPECT_TRUE(request->is_json_wanted);
  EXPECT_EQ(request->fidelity, .95);
  EXPECT_EQ(request->seed, 7U);
}

TEST(ParseCompareOptions, EachVariantGetsItsSettingsAndFullNone) {
  const Result<CompareRequest> request =
      parse(kClip + "--policies hold,similarity --budgets .2 --similarities .9");
  ASSERT_TRUE(request) << request.error().message();
  const RunSettings hold = settings_for(*request, request->variants[0]);
  EXPECT_EQ(hold.engine.policy, PolicyKind::kHold);
  EXPECT_EQ(hold.engine.budget.share, .2);
  const RunSettings similarity = settings_for(*request, request->variants[1]);
  EXPECT_EQ(similarity.engine.policy, PolicyKind::kSimilarity);
  EXPECT_EQ(similarity.engine.similarity, .9);
  EXPECT_EQ(similarity.engine.budget, InferenceBudget{});
  const RunSettings full = settings_for_full(*request);
  EXPECT_EQ(full.engine.policy, PolicyKind::kFull);
  EXPECT_EQ(full.engine.budget, InferenceBudget{});
}

TEST(ParseCompareOptions, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "nothing to"},
      {kClip + "--budgets 0", "--budgets: \"0\" is not a budget"},
      {kClip + "--budgets 1.5", "--budgets: \"1.5\" is not a budget"},
      {kClip + "--budgets -1", "--budgets: \"-1\" is not a budget"},
      {kClip + "--budgets .2,,.1", "--budgets: \"\" is not a budget"},
      {kClip + "--budgets .2,0.20", "--budgets: \"0.20\" stands twice"},
      {kClip + "--budgets .2 --budgets .1", "--budgets: stands more than once"},
      {kClip + "--budgets", "--budgets: needs a value"},
      {kClip + "--policies full", "--policies: \"full\" is not a policy that saves inference"},
      {kClip + "--policies hold,hold", "--policies: \"hold\" stands twice"},
      {kClip + "--similarities 0", "--similarities: \"0\" is not a threshold"},
      {kClip + "--similarities .9,.90", "--similarities: \".90\" stands twice"},
      {kClip + "--score 2", "--score: \"2\" is not a number from 0 to 1"},
      {kClip + "--fidelity x", "--fidelity: \"x\" is not a number"},
      {kClip + "--seed 1.5", "--seed: \"1.5\" is not a whole number"},
      {kClip + "--seed -1", "--seed: \"-1\" is not a number from 0"},
      {kClip + "--out=", "--out"},
      {kClip + "--budget .2", "--budget is not an option of compare"},
      {kClip + "--pace=live", "--pace is not an option of compare"},
      {kClip + "--loop", "--loop is not an option of compare"},
      {kClip + "--budgtes .2", "did you mean \"--budgets\"?"},
      {"a.yaml b.yaml", "belongs to no option; compare takes one configuration"},
      {"--source rtsp://h/1 --model m.onnx", "is not a file"},
      {"--source synthetic://a --model m.onnx", "is not a file"},
      {"--source a.mp4", "--model"},
  };
  for (const auto& [line, message] : cases)
    EXPECT_THAT(problem_of(line), HasSubstr(message)) << line;
}

TEST(ParseCompareOptions, AReportOverwritesNothingThatIsRead) {
  const TempFolder folder;
  const std::string out = folder.path().string();
  const std::string clip = folder.write("compare.html", "film");
  EXPECT_THAT(problem_of("--source " + clip + " --model m.onnx --out " + out + "/./"),
              AllOf(HasSubstr("--out: \""), HasSubstr("compare.html\" is read as --source " + clip),
                    HasSubstr("name another folder")));
  const std::string labels = folder.write("compare.json", "a");
  EXPECT_THAT(problem_of(kClip + "--labels " + labels + " --out " + out),
              HasSubstr("is read as --labels"));
  folder.write("site.yaml",
               "models: {m: {path: m.onnx, labels: compare.json}}\ncameras: [{id: a, url: x}]");
  const std::string site = folder / "site.yaml";
  EXPECT_THAT(problem_of(site + " --out " + out), HasSubstr("is read as models.m.labels"));
  EXPECT_EQ(problem_of(site + " --out " + out + "/report"), "none");
}

TEST(ParseCompareOptions, NeverShowsASecret) {
  for (const std::string& line : {std::string("--source rtsp://viewer:hunter2@h/1 --model m.onnx"),
                                  kClip + "--budgets rtsp://viewer:hunter2@h/1"}) {
    const std::string problem = problem_of(line);
    EXPECT_NE(problem, "none") << line;
    EXPECT_THAT(problem, Not(HasSubstr("hunter2"))) << line;
  }
}

TEST(ParseCompareOptions, KeepsTheCommandForAShell) {
  const Result<CompareRequest> request =
      parse_compare_options({"--source", "a b/it's.mp4", "--model=m.onnx", "--json"});
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(request->command,
            R"(framemill compare --source 'a b/it'\''s.mp4' --model=m.onnx --json)");
}

TEST(ParseCompareOptions, HelpNamesEveryOption) {
  const Result<CompareRequest> request = parse("--source a.mp4 --help");
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->is_help_wanted);
  const std::string help = compare_help();
  for (const char* option :
       {"--policies", "--budgets", "--similarities", "--score",        "--fidelity",    "--seed",
        "--out",      "--json",    "--source",       "--model",        "--labels",      "--rate",
        "--every",    "--nms-iou", "--motion",       "--answer-delay", "--max-answers", "--tick",
        "--slo",      "CONFIG",    "Exit status"})
    EXPECT_THAT(help, HasSubstr(option));
  EXPECT_THAT(help, AllOf(Not(HasSubstr("--policy ")), Not(HasSubstr("--budget ")),
                          Not(HasSubstr("--results")), Not(HasSubstr("--loop"))));
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
}

}  // namespace
}  // namespace framemill
