#include "framemill/config/load_settings.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/config/settings_reference.h"
#include "framemill/config/validate.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::filesystem::path kGolden =
    std::filesystem::path(FRAMEMILL_SOURCE_DIR) / "tests" / "golden" / "config";

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<std::string> fake_environment(const std::string& name) {
  if (name == "GATE1_PASSWORD") return "p@ss: [${TOKEN}]";
  if (name == "TOKEN") return "abc-a-token-of-some-length";
  if (name == "RATE") return "7";
  if (name == "BREAK") return "x, id: y}\n- {url: z";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

Result<RunSettings> parse(std::string_view text, const std::string& name = "site.yaml") {
  return parse_settings(text, name, fake_environment);
}

/// A right configuration whose camera has `extra` settings.
std::string with_camera(const std::string& extra) {
  return "models: {objects: {path: a.onnx}}\ncameras:\n  - id: gate-1\n    url: "
         "rtsp://10.0.0.5/1\n" +
         extra;
}

std::string problem_of(std::string_view text) {
  const Result<RunSettings> settings = parse(text);
  return settings ? std::string() : settings.error().message();
}

TEST(ParseSettings, ReadsEverySetting) {
  const Result<RunSettings> settings =
      parse_settings(read_file(kGolden / "site.yaml"), "conf/site.yaml", fake_environment);
  ASSERT_TRUE(settings) << settings.error().message();

  ASSERT_EQ(settings->models.size(), 2U);
  const ModelSettings& objects = settings->models[0];
  EXPECT_EQ(objects.name, "objects");
  EXPECT_EQ(objects.path, "conf/models/yolo11n.onnx");  // relative to the file
  EXPECT_EQ(objects.labels, "coco");                    // no path
  EXPECT_EQ(objects.score, 0.4);
  EXPECT_EQ(objects.nms_iou, 0.6);
  EXPECT_EQ(objects.head, "v8");
  EXPECT_EQ(objects.device, "CPU");
  EXPECT_EQ(objects.color + objects.range + objects.letterbox, "rgbunitcenter");
  EXPECT_EQ(settings->models[1].path, "/opt/models/steel.xml");
  EXPECT_THAT(settings->models[1].label_list, ElementsAre("crazing", "inclusion", "scratches"));

  ASSERT_EQ(settings->cameras.size(), 5U);
  const CameraSettings& gate = settings->cameras[0];
  EXPECT_EQ(gate.id, "gate-1");
  EXPECT_EQ(gate.url, "rtsp://10.0.0.5/1");
  EXPECT_EQ(gate.username, "viewer");
  EXPECT_EQ(gate.password, "p@ss: [${TOKEN}]");
  EXPECT_EQ(gate.transport, Transport::kUdp);
  EXPECT_EQ(gate.model, "objects");
  EXPECT_EQ(gate.rate_hz, 12.5);
  EXPECT_EQ(gate.every, 0);  // its own rate counts more than every in defaults
  EXPECT_EQ(gate.priority, Priority::kCritical);
  EXPECT_EQ(gate.slo, 100ms);
  EXPECT_EQ(gate.policy, PolicyKind::kHold);
  EXPECT_EQ(gate.score, 0.5);
  EXPECT_THAT(gate.classes, ElementsAre("person", "car"));
  ASSERT_EQ(gate.mask.size(), 1U);
  EXPECT_THAT(gate.mask[0], ElementsAre(RelativePoint{0, 0}, RelativePoint{1, 0},
                                        RelativePoint{1, 0.2}, RelativePoint{0, 0.2}));
  EXPECT_EQ(gate.frozen_after, 1min);
  const CameraSettings& line = settings->cameras[1];
  EXPECT_EQ(line.url, "conf/clips/line.mp4");
  EXPECT_EQ(line.model, "defects");
  EXPECT_TRUE(line.is_looped);
  EXPECT_EQ(line.start, 4200ms);
  EXPECT_EQ(line.every, 3);
  EXPECT_EQ(line.slo, 250ms);
  EXPECT_EQ(line.priority, Priority::kBackground);
  EXPECT_EQ(settings->cameras[2].id, "line");
  EXPECT_EQ(settings->cameras[3].id, "line-2");
  EXPECT_EQ(settings->cameras[3].every, 7);
  EXPECT_EQ(settings->cameras[4].url, "synthetic://");

  const EngineSettings& engine = settings->engine;
  EXPECT_EQ(engine.policy, PolicyKind::kFull);
  EXPECT_EQ(engine.budget.per_second, 30);
  EXPECT_EQ(engine.budget.share, std::nullopt);
  EXPECT_EQ(engine.pace, Pace::kLive);
  EXPECT_EQ(engine.tick, 40ms);
  EXPECT_EQ(engine.run_for, 1500ms);
  EXPECT_EQ(engine.answer_delay, 20ms);
  EXPECT_EQ(engine.max_frames, 100);
  EXPECT_EQ(engine.max_answers, 50);
  EXPECT_EQ(engine.streams, 2U);
  EXPECT_EQ(engine.threads, 4U);
  ASSERT_EQ(settings->sinks.size(), 5U);
  EXPECT_EQ(settings->sinks[0].path, "conf/out/answers.jsonl");
  EXPECT_EQ(settings->server.listen, "0.0.0.0:9000");
  EXPECT_EQ(settings->server.token, "abc-a-token-of-some-length");
}

/// X.yaml beside X.expected; with FRAMEMILL_UPDATE_GOLDEN set the expectation is written anew.
TEST(ParseSettings, SaysWhatTheGoldenFilesExpect) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    if (entry.path().extension() != ".yaml") continue;
    const Result<RunSettings> settings = parse(read_file(entry.path()), entry.path().filename());
    const std::string got = settings ? "ok\n"
                                     : std::string(to_string(settings.error().code())) + "\n" +
                                           settings.error().message() + "\n";
    const std::filesystem::path expected =
        std::filesystem::path(entry.path()).replace_extension(".expected");
    if (std::getenv("FRAMEMILL_UPDATE_GOLDEN") != nullptr) std::ofstream(expected) << got;
    EXPECT_EQ(got, read_file(expected)) << entry.path();
    EXPECT_THAT(got, Not(HasSubstr("hunter2"))) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 7);
}

TEST(ParseSettings, ExpandsVariablesWithoutChangingTheStructure) {
  const Result<RunSettings> settings =
      parse(with_camera("    rate: ${RATE}\n    username: ${BREAK}x\n"));
  ASSERT_FALSE(settings);  // a line break, and no second camera
  EXPECT_THAT(
      settings.error().message(),
      HasSubstr("site.yaml:6: cameras[gate-1].username: \"${BREAK}x\" holds a control character"));

  const Result<RunSettings> url = parse(
      "models: {objects: {path: a.onnx}}\n"
      "cameras: [{id: a, url: 'rtsp://v:${GATE1_PASSWORD}@10.0.0.5/1', rate: '${RATE}'}]");
  ASSERT_TRUE(url) << url.error().message();
  EXPECT_EQ(url->cameras[0].url, "rtsp://v:p%40ss%3A%20%5B%24%7BTOKEN%7D%5D@10.0.0.5/1");
  EXPECT_EQ(url->cameras[0].rate_hz, 7);
}

TEST(ParseSettings, NeverShowsAVariablesValue) {
  const std::string message = problem_of(with_camera(
      "    rate: ${TOKEN}\n    slo: ${TOKEN}\n    priority: ${TOKEN}\n    model: ${TOKEN}\n"
      "    classes: ['${TOKEN}', '${TOKEN}']\n    transport: ${TOKEN}\nserver: {listen: "
      "'${TOKEN}'}\n"));
  EXPECT_THAT(message, HasSubstr("\"${TOKEN}\" is not a number"));
  EXPECT_THAT(message, HasSubstr("\"${TOKEN}\" is not a duration"));
  EXPECT_THAT(message, HasSubstr("\"${TOKEN}\" is not HOST:PORT"));
  EXPECT_THAT(message, HasSubstr("cameras[gate-1].model"));
  EXPECT_THAT(message, Not(HasSubstr("abc")));
}

TEST(ParseSettings, EachProblemNamesPlaceAndRemedy) {
  const std::tuple<std::string, const char*> cases[] = {
      {"", "site.yaml:1: the file is empty"},
      {"- a", "site.yaml:1: the file is a list; write a map"},
      {"cameras: [{id: a, url: x.mp4}]", "site.yaml:1: models: no model is given"},
      {"models: {a: {path: a.onnx}}", "site.yaml:1: cameras: no camera is given"},
      {"models: []\ncameras: {}", "site.yaml:1: models: is a list; write a map"},
      {"models: []\ncameras: {}", "site.yaml:2: cameras: is a map; write a list"},
      {"models: {a: {labels: coco}}\ncameras: [{url: x}]", "models.a.path: is missing"},
      {"a: 1\n---\nb: 1", "a configuration is one"},
      {with_camera("    password: ${NOT_SET}\n"),
       "site.yaml:5: cameras[gate-1].password: the environment variable NOT_SET is not set"},
      {with_camera("    username: v\n    password: ${EMPTY}\n"), "the value expands to nothing"},
      {with_camera("    rate: .nan\n"), "is not a number"},
      {with_camera("    rate: 1e999\n"), "is not a number"},
      {with_camera("    slo: 61s\n"), R"("61s" is out of range; write a duration from 1ms to 60s)"},
      {with_camera("    slo: \"40\"\n"),
       R"(site.yaml:5: cameras[gate-1].slo: "40" is not a duration; write one like "200ms" or "2s")"},
      {with_camera("    every: 0\n"),
       R"("0" is out of range; write a number from 1 to 1000000 (frames))"},
      {with_camera("    classes: []\n"), "is an empty list"},
      {with_camera("    classes: person\n"), "is a list; write one like [a, b]"},
      {with_camera("    mask: [[0,0],[1,0],[1,1]]\n"), "polygon 1 has fewer than 3 points"},
      {with_camera("    ? [a]\n    : b\n"), "a key is a list; write a text"},
      {with_camera("    rules: &r [*r]\n"), "an alias stands inside its own anchor"},
  };
  for (const auto& [text, want] : cases) EXPECT_THAT(problem_of(text), HasSubstr(want)) << text;
}

TEST(ParseSettings, AMisspeltKeyIsSaidOnce) {
  EXPECT_EQ(problem_of("models: {m: {pth: a.onnx}}\ncameras: [{id: a, url: x.mp4}]"),
            "site.yaml:1: models.m.pth: unknown key; did you mean \"path\"?");
  EXPECT_EQ(problem_of("modles: {m: {path: a.onnx}}\ncameras: [{id: a, url: x.mp4, model: m}]"),
            "site.yaml:1: modles: unknown key; did you mean \"models\"?");
  EXPECT_EQ(problem_of("models: {m: {path: a.onnx}}\ncamera: [{id: a, url: x.mp4}]"),
            "site.yaml:2: camera: unknown key; did you mean \"cameras\"?");
  EXPECT_EQ(problem_of("models: {m: {path: a.onnx}}\ncameras: [{id: a, ulr: x.mp4}]"),
            "site.yaml:2: cameras[a].ulr: unknown key; did you mean \"url\"?");
  EXPECT_EQ(problem_of("models: {m: {path: a.onnx}}\ncameras: [{id: a, url: x.mp4}]\n"
                       "sinks: [{tpye: jsonl, path: x}]"),
            "site.yaml:3: sinks[0].tpye: unknown key; did you mean \"type\"?");
  // What it was to be is there as well, and wrong on its own.
  EXPECT_THAT(problem_of("models: {m: {pth: a, path: a.pt}}\ncameras: [{id: a, url: x.mp4}]"),
              HasSubstr("models.m.path: \"a.pt\" is not a model"));
  EXPECT_THAT(problem_of("models: {m: {file: a.onnx}}\ncameras: [{id: a, url: x.mp4}]"),
              HasSubstr("models.m.path: is missing"));
}

TEST(ParseSettings, ACameraWithoutAnIdOfItsOwnGoesByItsNumber) {
  EXPECT_EQ(problem_of("models: {m: {path: a.onnx}}\ncameras: [{url: x.mp4, model: n}]"),
            "site.yaml:2: cameras[0].model: is not in models; models has: m");
  EXPECT_THAT(problem_of("models: {m: {path: a.onnx}}\ncameras: [{url: x.mp4}]\n"
                         "sinks: [{type: jsonl, path: x.mp4}]"),
              HasSubstr("\"x.mp4\" is read as cameras[0].url"));
}

TEST(ParseSettings, AWorkloadIsNamedAsOne) {
  const std::string says =
      "this looks like a workload, which is for plan, simulate and verify; a configuration names "
      "models, and cameras with their url";
  EXPECT_EQ(problem_of("plan: {name: x}\ncameras: [{name: a, count: 3}]\ndevices: [T4]"),
            "site.yaml:1: " + says);
  EXPECT_EQ(problem_of("cameras: [{name: a, count: 3, fps: 25}]"), "site.yaml:1: " + says);
  // A slip is none.
  EXPECT_THAT(problem_of(with_camera("    count: 3\n")), Not(HasSubstr("workload")));
  EXPECT_THAT(problem_of("cameras: [{name: a}]"), Not(HasSubstr("workload")));
}

TEST(ParseSettings, DurationsMayStandInQuotesEverywhere) {  // as JSON writes them
  const Result<RunSettings> settings = parse(with_camera(
      R"(    slo: "150ms"
    rules: [{"id": "a", "kind": "presence", "for": "500ms", "clear_after": "2s"}]
)"));
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(settings->cameras[0].slo, 150ms);
  EXPECT_EQ(settings->cameras[0].rules[0].hold_for, Duration(500ms));
  EXPECT_THAT(problem_of(with_camera("    rules: [{id: a, kind: count, over: \"4\"}]\n")),
              HasSubstr("without quotes"));
}

TEST(ParseSettings, RefusesAFidelityOrBudgetThatNothingCanHold) {
  const std::string cameras =
      "models: {objects: {path: a.onnx}}\n"
      "cameras: [{id: a, url: a.mp4, priority: critical}, {id: b, url: b.mp4, rate: 30}]\n";
  const auto with_engine = [&](const char* engine) { return cameras + "engine: " + engine; };
  const std::tuple<const char*, const char*> cases[] = {
      {"{fidelity: .98}", "engine.fidelity: cannot be held by policy full"},
      {"{policy: hold, fidelity: .98}", "engine.fidelity: cannot be held by policy hold"},
      {"{policy: adaptive, fidelity: .98, audit: 0}", "`audit: 0` allows none"},
      {"{policy: adaptive, fidelity: 1}",
       "\"1\" is out of range; write a number from 0.5 to 0.999"},
      {"{policy: adaptive, fidelity: .4}", "out of range"},
      {"{policy: adaptive, budget: .2}",
       "site.yaml:3: engine.budget: is too small for the critical cameras alone, which are always "
       "inferred; give at least 0.25"},
      {"{policy: adaptive, budget: 9.9/s}", "at least 10.0/s"},
  };
  for (const auto& [engine, want] : cases)
    EXPECT_THAT(problem_of(with_engine(engine)), HasSubstr(want)) << engine;
  for (const char* engine :
       {"{policy: adaptive, fidelity: .98}", "{policy: adaptive, budget: .25, fidelity: .98}",
        "{policy: adaptive, budget: 10/s}", "{policy: hold, budget: .2}"}) {
    const Result<RunSettings> settings = parse(with_engine(engine));
    EXPECT_TRUE(settings) << engine << ": " << settings.error().message();
  }
}

TEST(ParseSettings, AcceptsAnchorsButNoBomb) {
  const Result<RunSettings> settings = parse(
      "models: {objects: {path: a.onnx}}\n"
      "cameras: [{id: a, url: a.mp4, classes: &c [person]}, {id: b, url: b.mp4, classes: *c}]");
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_THAT(settings->cameras[1].classes, ElementsAre("person"));

  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += (k > 0 ? ",*a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(problem_of(bomb), HasSubstr("more than 200000 values"));
  std::string fat = "a: &a " + std::string(1'000'000, 'x') + "\nb: [";
  for (int i = 0; i < 10'000; ++i) fat += "*a,";
  EXPECT_THAT(problem_of(fat + "]"), HasSubstr("more than 200000 values"));
  EXPECT_THAT(problem_of(std::string(5'000'000, 'x')), HasSubstr("larger than 4 MiB"));
  EXPECT_THAT(problem_of(std::string(5000, '[')), HasSubstr("site.yaml:1: "));
  EXPECT_THAT(problem_of("a: " + std::string(100, '[') + std::string(100, ']')),
              HasSubstr("nested deeper"));
}

TEST(ParseSettings, OverridesComeBeforeTheCheck) {
  const auto add_model = [](RunSettings& settings) -> Result<void> {
    settings.models.push_back({.name = "objects", .path = "b.onnx"});
    return {};
  };
  const Result<RunSettings> settings =
      parse_settings("cameras: [{id: a, url: a.mp4}]", "a.yaml", fake_environment, add_model);
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(settings->models[0].path, "b.onnx");
}

TEST(ParseSettings, ReportsAtMostTwentyProblems) {
  const std::string message = problem_of(read_file(kGolden / "many_problems.yaml"));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 20);
  EXPECT_THAT(message, HasSubstr("... and 10 more"));
}

TEST(LoadSettings, SaysWhatCannotBeRead) {
  const Result<RunSettings> missing = load_settings("no/such/site.yaml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  const Result<RunSettings> folder = load_settings(kGolden.string());
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message(), HasSubstr("is a folder"));
}

TEST(Validate, ChecksRangesOfSettingsThatCameFromNoText) {
  RunSettings settings;
  settings.models.push_back({.name = "objects", .path = "a.onnx"});
  settings.cameras.push_back({.id = "a", .url = "a.mp4"});
  EXPECT_TRUE(validate(settings));
  settings.cameras[0].rate_hz = 0;
  settings.cameras[0].slo = Duration(0);
  settings.models[0].score = 2;
  const Result<void> result = validate(settings);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message(),
            "models.objects.score: \"2\" is out of range; write a number from 0 to 1\n"
            "cameras[a].rate: \"0\" is out of range; write a number from 0.01 to 240 (1/s)\n"
            "cameras[a].slo: \"0s\" is out of range; write a duration from 1ms to 60s");
}

/// Bytes of right and wrong configurations, cut, doubled and changed: never a crash, and each
/// refusal names the file. tests/fuzz/config_fuzz.cc does the same for longer.
TEST(ParseSettings, SurvivesRandomChanges) {
  std::vector<std::string> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden))
    if (entry.path().extension() == ".yaml") seeds.push_back(read_file(entry.path()));
  std::ranges::sort(seeds);  // the order of a folder is no fixed one
  constexpr std::string_view kBytes = "{}[]:,-&*?!|>'\"%@`#$ \n\tax019.~<\\\x00\xFF";
  std::mt19937 rng(7);
  const auto below = [&rng](std::size_t limit) { return rng() % std::max<std::size_t>(limit, 1); };
  for (int round = 0; round < 3'000; ++round) {
    std::string text = seeds[below(seeds.size())];
    for (std::size_t change = below(8) + 1; change > 0; --change) {
      const std::size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text.insert(at, 1, kBytes[below(kBytes.size())]);
          break;
        case 1:
          text.erase(at, below(20));
          break;
        case 2:
          text.insert(at, text.substr(below(text.size()), below(40)));
          break;
        default:
          if (!text.empty()) text[at] = kBytes[below(kBytes.size())];
      }
    }
    const Result<RunSettings> settings = parse(text);
    if (!settings) {
      EXPECT_TRUE(settings.error().message().starts_with("site.yaml:")) << "round " << round;
    } else {
      EXPECT_TRUE(validate(*settings)) << "round " << round;
    }
  }
}

TEST(SettingsReference, IsTheOneInDocs) {
  const auto path =
      std::filesystem::path(FRAMEMILL_SOURCE_DIR) / "docs" / "reference" / "settings.md";
  if (std::getenv("FRAMEMILL_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << settings_markdown();
  EXPECT_EQ(read_file(path), settings_markdown())
      << "stale; run: framemill config explain --markdown > docs/reference/settings.md";
}

TEST(SettingsReference, HasAllSectionsAndExplainsEachSetting) {
  EXPECT_THAT(list_sections(), ElementsAre("models", "defaults", "cameras", "engine", "rules",
                                           "alarms", "sinks", "server"));
  for (const SettingInfo& info : list_settings()) {
    EXPECT_FALSE(info.help.empty()) << info.section << "." << info.key;
    EXPECT_TRUE(info.help.ends_with('.')) << info.section << "." << info.key;
    if (!info.is_reserved) {
      EXPECT_FALSE(info.type.empty()) << info.section << "." << info.key;
      EXPECT_FALSE(info.default_value.empty()) << info.section << "." << info.key;
    }
  }
}

TEST(ParseCamera, ReadsOneCameraOnTopOfAnother) {
  CameraSettings base;
  base.id = "gate-1";
  base.url = "rtsp://10.0.0.5/1";
  base.every = 3;
  base.slo = 1s;
  const Result<CameraSettings> camera = parse_camera(
      R"({"rate": 5, "priority": "critical", "mask": [[[0, 0], [1, 0], [1, 0.5]]]})", base);
  ASSERT_TRUE(camera) << camera.error().message();
  EXPECT_EQ(camera->id, "gate-1");
  EXPECT_EQ(camera->rate_hz, 5);
  EXPECT_EQ(camera->every, 0);
  EXPECT_EQ(camera->slo, 1s);
  EXPECT_EQ(camera->priority, Priority::kCritical);
  EXPECT_EQ(camera->mask.size(), 1U);
}

TEST(ParseCamera, ExpandsNoVariables) {
  const Result<CameraSettings> camera = parse_camera(
      R"({"url": "rtsp://evil.example/${HOME}", "username": "a$b", "password": "$${PATH}$"})", {});
  ASSERT_TRUE(camera) << camera.error().message();
  EXPECT_EQ(camera->url, "rtsp://evil.example/${HOME}");
  EXPECT_EQ(camera->username, "a$b");
  EXPECT_EQ(camera->password, "$${PATH}$");
}

TEST(ParseCamera, NamesTheKeyThatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"slo": "soon"})", "slo: \"soon\" is not a duration"},
      {R"({"rates": 5})", "rates: unknown key"},
      {R"({"rate": "5"})", "rate: "},
      {R"({"rate": 5, "every": 2})", "rate and every exclude each other"},
      {R"({"id": "a b"})", "id: "},
      {"[]", "is a list"},
      {"", "is "}};
  for (const auto& [text, wanted] : cases) {
    const Result<CameraSettings> camera = parse_camera(text, {});
    ASSERT_FALSE(camera) << text;
    EXPECT_THAT(camera.error().message(), HasSubstr(wanted)) << text;
    EXPECT_THAT(camera.error().message(), Not(HasSubstr("yaml:"))) << text;
  }
}

TEST(Validate, AServerThatOthersReachNeedsAToken) {
  RunSettings settings;
  settings.models.push_back({.name = "objects", .path = "m.onnx"});
  settings.cameras.push_back({.id = "a", .url = "synthetic://"});
  const auto problem = [&] {
    const Result<void> checked = validate(settings);
    return checked ? std::string() : checked.error().message();
  };
  for (const char* listen : {"off", "127.0.0.1:8460", "127.1.2.3:0", "localhost:80", "[::1]:80"}) {
    settings.server.listen = listen;
    EXPECT_EQ(problem(), "") << listen;
  }
  for (const char* listen : {"0.0.0.0:8460", "[::]:80", "10.0.0.5:80", "vision.example:80",
                             "127.evil.example:80", "localhost.evil.example:80"}) {
    settings.server = {.listen = listen};
    EXPECT_THAT(problem(), HasSubstr("neither a token nor certificates")) << listen;
    settings.server.view_token = "sixteen-letters!";
    EXPECT_EQ(problem(), "") << listen;
    // Encryption alone lets everybody in.
    settings.server = {.listen = listen, .cert_file = "c.pem", .key_file = "k.pem"};
    EXPECT_THAT(problem(), HasSubstr("neither a token nor certificates")) << listen;
    settings.server.client_ca_file = "ca.pem";
    EXPECT_EQ(problem(), "") << listen;
  }
  settings.server = {.cert_file = "c.pem"};
  EXPECT_THAT(problem(), HasSubstr("server.cert_file: has no key_file"));
  settings.server = {.key_file = "k.pem"};
  EXPECT_THAT(problem(), HasSubstr("server.key_file: has no cert_file"));
  settings.server = {.client_ca_file = "ca.pem"};
  EXPECT_THAT(problem(), HasSubstr("server.client_ca_file: has no cert_file"));
  settings.server = {};
  settings.server.token = "short";
  EXPECT_THAT(problem(), HasSubstr("server.token: is shorter than 16"));
  settings.server.token = settings.server.view_token = "sixteen-letters!";
  EXPECT_THAT(problem(), HasSubstr("another role"));
}

}  // namespace
}  // namespace framemill
