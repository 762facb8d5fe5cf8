#include "framemill/cli/run_options.h"

#include <sstream>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/cli/config_command.h"
#include "framemill/config/load_settings.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kConfigs = std::string(FRAMEMILL_SOURCE_DIR) + "/tests/golden/config/";

/// Arguments from words; no argument of these tests holds a space.
Result<RunOptions> parse(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> arguments;
  for (std::string word; stream >> word;) arguments.push_back(word);
  return parse_run_options(arguments);
}

std::string problem_of(const std::string& line) {
  const Result<RunOptions> options = parse(line);
  return options ? "none" : options.error().message();
}

TEST(ParseRunOptions, ReadsEveryOption) {
  const Result<RunOptions> options = parse(
      "--source a/clip.mp4,every=3 --source a/clip.mp4 --source "
      "rtsp://u:p@h/x?a=1,b=2,id=gate,rate=2 "
      "--model m.onnx --labels coco --score .4 --nms-iou 0.5 --policy hold --budget 0.2 --rate 5 "
      "--slo 100ms --pace live --for 30s --max-frames 7 --max-answers=8 --answer-delay 100ms "
      "--tick 50ms --streams 2 --threads 3 --results - --summary s.json --snapshot shots,every=2s "
      "--listen off --log-level debug --loop");
  ASSERT_TRUE(options) << options.error().message();
  const RunSettings& settings = options->settings;
  ASSERT_EQ(settings.cameras.size(), 3U);
  EXPECT_EQ(settings.cameras[0].id, "clip");
  EXPECT_EQ(settings.cameras[0].url, "a/clip.mp4");
  EXPECT_EQ(settings.cameras[0].every, 3);
  EXPECT_TRUE(settings.cameras[0].is_looped);
  EXPECT_EQ(settings.cameras[1].id, "clip-2");
  EXPECT_EQ(settings.cameras[1].every, 0);
  EXPECT_EQ(settings.cameras[1].rate_hz, 5);
  EXPECT_EQ(settings.cameras[1].slo, 100ms);
  EXPECT_EQ(settings.cameras[2].id, "gate");
  EXPECT_EQ(settings.cameras[2].url, "rtsp://u:p@h/x?a=1,b=2");
  EXPECT_EQ(settings.cameras[2].rate_hz, 2);
  EXPECT_FALSE(settings.cameras[2].is_looped);
  ASSERT_EQ(settings.models.size(), 1U);
  EXPECT_EQ(settings.models[0].name, "objects");
  EXPECT_EQ(settings.models[0].path, "m.onnx");
  EXPECT_EQ(settings.models[0].labels, "coco");
  EXPECT_EQ(settings.models[0].score, 0.4);
  EXPECT_EQ(settings.models[0].nms_iou, 0.5);
  EXPECT_EQ(settings.engine.policy, PolicyKind::kHold);
  EXPECT_EQ(settings.engine.budget.share, 0.2);
  EXPECT_EQ(settings.engine.pace, Pace::kLive);
  EXPECT_EQ(settings.engine.run_for, 30s);
  EXPECT_EQ(settings.engine.max_frames, 7);
  EXPECT_EQ(settings.engine.max_answers, 8);
  EXPECT_EQ(settings.engine.answer_delay, 100ms);
  EXPECT_EQ(settings.engine.tick, 50ms);
  EXPECT_EQ(settings.engine.streams, 2U);
  EXPECT_EQ(settings.engine.threads, 3U);
  EXPECT_EQ(settings.output.results, "-");
  EXPECT_EQ(settings.output.summary, "s.json");
  EXPECT_EQ(settings.output.snapshot_dir, "shots");
  EXPECT_EQ(settings.output.snapshot_every, 2s);
  EXPECT_EQ(settings.server.listen, "off");
  EXPECT_EQ(options->log_level, "debug");
}

TEST(ParseRunOptions, OverridesAConfiguration) {
  ::setenv("GATE1_PASSWORD", "x", 1);
  ::setenv("TOKEN", "a-token-of-some-length", 1);
  const Result<RunOptions> plain = parse(kConfigs + "site.yaml");
  ASSERT_TRUE(plain) << plain.error().message();
  EXPECT_EQ(plain->settings.cameras[0].rate_hz, 12.5);
  EXPECT_EQ(plain->settings.cameras[0].policy, PolicyKind::kHold);
  const Result<RunOptions> changed = parse(
      kConfigs + "site.yaml --rate 2 --slo 1s --policy hold --score 0.9 --listen off --budget 1");
  ASSERT_TRUE(changed) << changed.error().message();
  for (const CameraSettings& camera : changed->settings.cameras) {
    EXPECT_EQ(camera.rate_hz, 2);
    EXPECT_EQ(camera.every, 0);
    EXPECT_EQ(camera.slo, 1s);
    EXPECT_EQ(camera.policy, std::nullopt);
    EXPECT_EQ(camera.score, std::nullopt);
  }
  for (const ModelSettings& model : changed->settings.models) EXPECT_EQ(model.score, 0.9);
  EXPECT_EQ(changed->settings.engine.budget.share, 1);
  EXPECT_EQ(changed->settings.engine.budget.per_second, std::nullopt);
  EXPECT_THAT(problem_of(kConfigs + "site.yaml --model b.onnx"),
              HasSubstr("--model: the configuration has 2"));
  EXPECT_THAT(problem_of(kConfigs + "site.yaml --source a.mp4"), HasSubstr("exclude each other"));
}

TEST(ParseRunOptions, SaysWhatIsWrongAndWhatToDo) {
  const std::tuple<const char*, const char*> cases[] = {
      {"", "nothing to run; name a configuration, or a --source with its --model"},
      {"--source a.mp4", "--model: is missing"},
      {"--source a.mp4 --model a.pt", R"(--model: "a.pt" is not a model)"},
      {"--source a.mp4 --modle m.onnx", R"(unknown option "--modle"; did you mean "--model"?)"},
      {"--source a.mp4 --model m.onnx --zzz", "see framemill run --help"},
      {"--source a.mp4 --model m.onnx --rate fast", R"(--rate: "fast" is not a number)"},
      {"--source a.mp4 --model m.onnx --rate 1 --every 2", "--rate and --every exclude each other"},
      {"--source a.mp4 --model m.onnx --rate 1 --rate 2", "--rate: stands more than once"},
      {"--source", "--source: needs a value"},
      {"--source a.mp4 --model m.onnx --every 0", "--every: \"0\" is out of range"},
      {"--source a.mp4 --model m.onnx --for 30", R"(--for: "30" is not a duration)"},
      {"--source a.mp4 --model m.onnx --budget 2", "--budget: \"2\" is not a budget"},
      {"--source a.mp4 --model m.onnx --budget 0.2", "--budget: cannot be held by policy full"},
      {"--source a.mp4 --model m.onnx --fidelity .98", "--fidelity: cannot be held by policy full"},
      {"--source a.mp4 --model m.onnx --pace quick", "is not one of live, fast"},
      {"--source a.mp4 --model m.onnx --listen 80", "--listen: \"80\" is not HOST:PORT"},
      {"--source a.mp4 --model m.onnx --log-level loud", "--log-level: \"loud\" is not one of"},
      {"--source a.mp4 --model m.onnx --results - --summary -",
       "--summary: is written to by something"},
      {"--source a.mp4 --model m.onnx --results x --summary ./x",
       "--summary: is written to by something"},
      {"--source a.mp4 --model m.onnx --pace live --results x --trace x",
       "--trace: is written to by something"},
      {"--source a.mp4 --model m.onnx --results ./a.mp4",
       R"(--results: "./a.mp4" is read as --source a.mp4, and would be overwritten; name another)"},
      {"--source a.mp4 --model m.onnx --summary m.onnx",
       R"(--summary: "m.onnx" is read as --model)"},
      {"--source a.mp4 --model m.onnx --snapshot d,every=0s", "--snapshot: every: must be longer"},
      {"--source a.mp4,evry=3 --model m.onnx", R"(unknown key "evry"; did you mean "every"?)"},
      {"--source rtsp://h/1,evry=3 --model m.onnx",
       R"(unknown key "evry"; did you mean "every"? A conf)"},
      {"--source a.mp4,every=3,every=4 --model m.onnx", "every stands twice"},
      {"--source a.mp4,every=x --model m.onnx", "every: \"x\" is not a whole number"},
      {"--source a.mp4,every=2,rate=3 --model m.onnx", "rate and every exclude each other"},
      {"--source a.mp4,id=x --source b.mp4,id=x --model m.onnx",
       "--source b.mp4: \"x\" is the id of another"},
      {"--source a.mp4,loop=true,every=2 --model m.onnx",
       "--source a.mp4: loop is no option of --source, which takes every, rate and id; write the "
       "camera into a configuration, cameras: [{id: a, url: a.mp4, loop: true, every: 2}], or give "
       "--loop for all sources"},
      {"--source rtsp://h/1,priority=critical --model m.onnx",
       "--source rtsp://h/1: priority is no option of --source"},
      {"--source ftp://h/x --model m.onnx", "ftp:// is not a source"},
      {"--source rtsp://h/1 --model m.onnx --loop", "--loop: is for files"},
      {"--source rtsp://h/1 --model m.onnx --pace fast",
       "is a live camera, which cannot run at pace fast"},
      {"a.yaml b.yaml", R"("b.yaml" belongs to no option)"},
      {"no/such.yaml", "cannot read"},
  };
  for (const auto& [line, want] : cases) EXPECT_THAT(problem_of(line), HasSubstr(want)) << line;
}

TEST(ParseRunOptions, NamesPlacesOfAConfigurationAsConfigCheckDoes) {
  const TempFolder folder;
  const std::string site = folder.write(
      "site.yaml",
      "models: {m: {path: a.onnx}}\ncameras:\n  - {rate: 5}\n  - {url: b.mp4, rate: 300}\n"
      "  - {url: rtsp://10.0.0.5/1}\n  - {id: own, url: c.mp4, slo: 61s}\n");
  const Result<RunSettings> checked = load_settings(site);
  ASSERT_FALSE(checked);
  const std::string& problem = checked.error().message();
  EXPECT_EQ(problem_of(site), problem);
  EXPECT_THAT(problem, HasSubstr("site.yaml:3: cameras[0].url: is missing"));
  EXPECT_THAT(problem, HasSubstr("site.yaml:4: cameras[1].rate: "));
  EXPECT_THAT(problem, HasSubstr("site.yaml:5: cameras[2].id: is missing"));
  EXPECT_THAT(problem, HasSubstr("site.yaml:6: cameras[own].slo: "));
}

TEST(ParseRunOptions, ATraceIsAFile) {
  const Result<RunOptions> options = parse("--source a.mp4 --model m.onnx --trace t.jsonl");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->settings.output.trace, "t.jsonl");
  EXPECT_THAT(problem_of("--source a.mp4 --model m.onnx --trace -"),
              HasSubstr("--trace: names no file"));
}

TEST(ParseRunOptions, NeverShowsASecret) {
  for (const char* line :
       {"--source rtsp://viewer:hunter2@h/1 --model m.pt --loop --pace fast",
        "--source rtsp://viewer:hunter2@h/1,every=x --model m.onnx",
        "--source ftp://viewer:hunter2@h/1 --model m.onnx",
        "--source rtsp://viewer:hunter2@h/1,password=hunter2,slo=1s --model m.onnx",
        "--source rtsp://viewer:hunter2@h/1,id=a --source rtsp://viewer:hunter2@h/1,id=a --model "
        "m.onnx",
        "a.yaml b.yaml rtsp://viewer:hunter2@h/1", "--rate rtsp://viewer:hunter2@h/1",
        "--loop=rtsp://viewer:hunter2@h/1", "rtsp://viewer:hunter2@h/1",
        "--zzz=rtsp://viewer:hunter2@h/1", "--zzz rtsp://viewer:hunter2@h/1",
        "--source a.mp4 --model m.onnx --snapshot rtsp://viewer:hunter2@h/1,every=x"}) {
    const std::string problem = problem_of(line);
    EXPECT_NE(problem, "none") << line;
    EXPECT_THAT(problem, Not(HasSubstr("hunter2"))) << line;
  }
}

TEST(ParseRunOptions, HelpNamesEveryOption) {
  const Result<RunOptions> options = parse("--source a.mp4 --help");
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->is_help_wanted);
  const std::string help = run_help();
  for (const char* option :
       {"--source",     "--model",       "--policy",       "--rate",     "--every",   "--budget",
        "--fidelity",   "--score",       "--nms-iou",      "--pace",     "--loop",    "--for",
        "--max-frames", "--max-answers", "--answer-delay", "--tick",     "--results", "--summary",
        "--snapshot",   "--trace",       "--listen",       "--labels",   "--slo",     "--streams",
        "--threads",    "--log-level",   "CONFIG",         "Exit status"})
    EXPECT_THAT(help, HasSubstr(option));
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
}

struct Outcome {
  int status;
  std::string out, err;
};
Outcome run_config(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const int status = run_config_command(arguments, out, err);
  return {status, out.str(), err.str()};
}

TEST(ConfigCommand, ChecksAFile) {
  ::setenv("GATE1_PASSWORD", "x", 1);
  ::setenv("TOKEN", "a-token-of-some-length", 1);
  const Outcome good = run_config({"check", kConfigs + "site.yaml"});
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_EQ(good.out, "ok: 5 cameras, 2 models\n");
  const Outcome bad = run_config({"check", kConfigs + "wrong_values.yaml"});
  EXPECT_EQ(bad.status, 2);
  EXPECT_EQ(bad.out, "");
  EXPECT_THAT(bad.err, HasSubstr("wrong_values.yaml:7: cameras[0].slo: \"40\" is not a duration"));
  EXPECT_EQ(run_config({"check"}).status, 2);
  EXPECT_EQ(run_config({}).status, 2);
  EXPECT_EQ(run_config({"--help"}).status, 0);
  const std::string help = run_config({"check", "--help"}).out;
  EXPECT_THAT(help, HasSubstr("framemill config check [OPTIONS]"));
  EXPECT_THAT(help, HasSubstr("not looked at: `framemill doctor YAML` opens"));
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"}, {"check", "--help"}, {"explain", "--help"}})
    EXPECT_THAT(run_config(arguments).out, HasSubstr("Exit status: 0 done, 2"));
}

TEST(ConfigCommand, ExplainsSettings) {
  const Outcome all = run_config({"explain"});
  EXPECT_EQ(all.status, 0);
  EXPECT_THAT(all.out, HasSubstr("cameras.slo"));
  EXPECT_THAT(all.out, HasSubstr("1ms to 60s"));
  EXPECT_THAT(all.out, HasSubstr("Default: 200ms."));
  EXPECT_THAT(all.out, HasSubstr("Reserved, not supported by this version."));
  const Outcome server = run_config({"explain", "server"});
  EXPECT_EQ(std::count(server.out.begin(), server.out.end(), '\n'), 12);
  EXPECT_THAT(server.out, Not(HasSubstr("cameras.slo")));
  const Outcome json = run_config({"explain", "engine", "--json"});
  EXPECT_THAT(json.out, testing::StartsWith("["));
  EXPECT_THAT(json.out, HasSubstr("\"key\": \"budget\""));
  const Outcome unknown = run_config({"explain", "camreas"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_EQ(unknown.out, "");
  EXPECT_THAT(unknown.err, HasSubstr("did you mean \"cameras\"?"));
}

TEST(ConfigCommand, FindsSettingsByAPartOfTheirName) {
  const Outcome slo = run_config({"explain", "slo"});
  EXPECT_EQ(slo.status, 0) << slo.err;
  EXPECT_THAT(slo.out, HasSubstr("defaults.slo "));
  EXPECT_THAT(slo.out, HasSubstr("cameras.slo "));
  EXPECT_THAT(slo.out, Not(HasSubstr("cameras.rate ")));
  const Outcome one = run_config({"explain", "cameras.slo"});
  EXPECT_EQ(std::count(one.out.begin(), one.out.end(), '\n'), 1) << one.out;
  EXPECT_THAT(run_config({"explain", "budget", "--json"}).out,
              HasSubstr("\"section\": \"engine\""));
  EXPECT_THAT(run_config({"explain", "bugdet"}).err, HasSubstr("did you mean \"budget\"?"));
  EXPECT_THAT(run_config({"explain", "cameras.slw"}).err,
              HasSubstr("did you mean \"cameras.slo\"?"));
  const Outcome none = run_config({"explain", "zzzzzz"});
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.err, HasSubstr("no section and no setting \"zzzzzz\"; the sections are"));
}

}  // namespace
}  // namespace framemill
