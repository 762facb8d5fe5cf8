#include "framemill/config/edit_cameras.h"

#include <functional>
#include <random>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/config/load_settings.h"

namespace framemill {
namespace {

using testing::HasSubstr;
using testing::Not;

std::optional<std::string> environment(const std::string& name) {
  if (name == "GATE_PASSWORD") return "se$cret: {#}";
  if (name == "RATE") return "4";
  return std::nullopt;
}

RunSettings parsed(const std::string& text) {
  Result<RunSettings> settings = parse_settings(text, "site.yaml", environment);
  EXPECT_TRUE(settings) << (settings ? "" : settings.error().message()) << "\n" << text;
  return settings ? *settings : RunSettings{};
}

using Change = std::function<void(std::vector<CameraSettings>&)>;

/// `text` with `change` done to its cameras; what it says then is what was wanted, and all else is
/// what it was.
std::string edited(const std::string& text, const Change& change) {
  const RunSettings before = parsed(text);
  std::vector<CameraSettings> wanted = before.cameras;
  change(wanted);
  const Result<std::string> result = edit_cameras(text, before.cameras, wanted, before.defaults);
  EXPECT_TRUE(result);
  if (!result) return {};
  const RunSettings after = parsed(*result);
  EXPECT_EQ(after.cameras, wanted) << *result;
  EXPECT_EQ(after.defaults, before.defaults);
  EXPECT_EQ(after.models, before.models);
  EXPECT_EQ(after.sinks, before.sinks);
  EXPECT_EQ(after.server, before.server);
  return *result;
}

CameraSettings& camera(std::vector<CameraSettings>& cameras, const CameraId& id) {
  return *std::ranges::find(cameras, id, &CameraSettings::id);
}

CameraSettings yard() {
  CameraSettings yard;
  yard.id = "yard";
  yard.url = "rtsp://10.0.0.9/1?a=1,b#x";
  yard.rate_hz = 5;
  yard.classes = {"person", "no", "a, b"};
  yard.zones = {{"dock", {{.1, .5}, {.9, .5}, {.9, 1}}}};
  return yard;
}

constexpr const char* kSite = R"(# The site of the north hall.
models:
  objects: {path: yolo11n.onnx}
defaults: {rate: 10, slo: 200ms}   # of all

cameras:
  # The gate is watched day and night.
  - id: gate-1          # do not rename
    url: "rtsp://viewer:${GATE_PASSWORD}@10.0.0.5/1"  # main stream
    priority: critical
    slo: 100ms  # because of the barrier
    mask:
      - [[0, 0], [1, 0], [1, 0.2]]   # the street

      - [[0, 0.9], [1, 0.9], [1, 1]]
    # The end of the gate.

  - {id: line-3, url: clips/line.mp4, loop: true, rate: 5}   # the demo
  # Not connected yet:
  # - {id: line-4, url: clips/line.mp4}
  - id: dock
    url: 'rtsp://10.0.0.6/it''s # not a comment'
    rate: ${RATE}

# Below here: what gets out.
sinks:
  - {type: jsonl, path: out.jsonl}
)";

TEST(EditCameras, LeavesWhatDidNotChangeToTheByte) {
  EXPECT_EQ(edited(kSite, [](auto&) {}), kSite);
}

/// The lines of `after` that are not in `before`, and the other way round.
std::pair<std::string, std::string> difference(const std::string& before,
                                               const std::string& after) {
  const auto lines = [](const std::string& text) {
    std::multiset<std::string> set;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) set.insert(line);
    return set;
  };
  std::string gone, come;
  const auto old_lines = lines(before), new_lines = lines(after);
  for (const std::string& line : old_lines)
    if (!new_lines.contains(line)) gone += line + "\n";
  for (const std::string& line : new_lines)
    if (!old_lines.contains(line)) come += line + "\n";
  return {gone, come};
}

TEST(EditCameras, TouchesOnlyTheLinesOfWhatChanged) {
  const std::tuple<const char*, Change, const char*, const char*> cases[] = {
      {"a value keeps its comment",
       [](auto& c) { camera(c, "gate-1").slo = std::chrono::milliseconds(150); },
       "    slo: 100ms  # because of the barrier\n", "    slo: 150ms  # because of the barrier\n"},
      {"a value of quotes with a # in it",
       [](auto& c) { camera(c, "dock").url = "rtsp://10.0.0.7/1"; },
       "    url: 'rtsp://10.0.0.6/it''s # not a comment'\n", "    url: \"rtsp://10.0.0.7/1\"\n"},
      {"what becomes the default goes",
       [](auto& c) { camera(c, "gate-1").priority = Priority::kNormal; },
       "    priority: critical\n", ""},
      {"a new key comes last", [](auto& c) { camera(c, "dock").score = .5; }, "",
       "    score: 0.5\n"},
      {"a value of several lines", [](auto& c) { camera(c, "gate-1").mask.pop_back(); },
       "      - [[0, 0.9], [1, 0.9], [1, 1]]\n      - [[0, 0], [1, 0], [1, 0.2]]   # the street\n  "
       "  mask:\n",
       "    mask: [[[0, 0], [1, 0], [1, 0.2]]]\n"},
      {"in braces", [](auto& c) { camera(c, "line-3").rate_hz = 2.5; },
       "  - {id: line-3, url: clips/line.mp4, loop: true, rate: 5}   # the demo\n",
       "  - {id: line-3, url: clips/line.mp4, loop: true, rate: 2.5}   # the demo\n"},
      {"every for rate", [](auto& c) { camera(c, "line-3").every = 3; },
       "  - {id: line-3, url: clips/line.mp4, loop: true, rate: 5}   # the demo\n",
       "  - {id: line-3, url: clips/line.mp4, loop: true, every: 3}   # the demo\n"},
      {"one that goes", [](auto& c) { c.erase(c.begin() + 1); },
       "  - {id: line-3, url: clips/line.mp4, loop: true, rate: 5}   # the demo\n", ""},
      {"one that comes", [](auto& c) { c.push_back(yard()); }, "",
       "  - {id: yard, url: \"rtsp://10.0.0.9/1?a=1,b#x\", rate: 5, classes: [person, \"no\", \"a, "
       "b\"], "
       "zones: {dock: [[0.1, 0.5], [0.9, 0.5], [0.9, 1]]}}\n"},
  };
  for (const auto& [name, change, gone, come] : cases) {
    std::string text = kSite;
    if (std::string(name) == "every for rate") {
      // rate_hz falls back to that of defaults, as it does where `every` is read.
      const Change inner = change;
      const std::string after = edited(text, [&](auto& c) {
        inner(c);
        camera(c, "line-3").rate_hz = 10;
      });
      EXPECT_EQ(difference(text, after), std::pair(std::string(gone), std::string(come))) << name;
      continue;
    }
    EXPECT_EQ(difference(text, edited(text, change)),
              std::pair(std::string(gone), std::string(come)))
        << name;
  }
}

TEST(EditCameras, VariablesStayAndTheirValuesAreNeverWritten) {
  const std::string after = edited(kSite, [](auto& c) {
    camera(c, "gate-1").slo = std::chrono::milliseconds(90);
    camera(c, "dock").every = 2;
    camera(c, "dock").rate_hz = 10;
    c.push_back(yard());
  });
  EXPECT_THAT(after, HasSubstr("viewer:${GATE_PASSWORD}@10.0.0.5"));
  EXPECT_THAT(after, Not(HasSubstr("cret")));
  EXPECT_THAT(after, HasSubstr("# The end of the gate."));
  EXPECT_THAT(after, HasSubstr("  # - {id: line-4, url: clips/line.mp4}\n"));
}

TEST(EditCameras, ADollarOfAPasswordIsNoVariable) {
  const std::string after = edited(kSite, [](auto& c) {
    camera(c, "dock").username = "viewer";
    camera(c, "dock").password = "a${HOME}$$b\"\\ #";
  });
  EXPECT_THAT(after, HasSubstr("$${HOME}$$$$b"));
}

TEST(EditCameras, KnowsWhatItWouldWriteInClear) {
  const RunSettings site = parsed(kSite);
  std::vector<CameraSettings> wanted = site.cameras;
  camera(wanted, "gate-1").slo = std::chrono::milliseconds(150);  // its URL has a password
  EXPECT_FALSE(writes_secret(site.cameras, wanted, site.defaults));
  camera(wanted, "dock").password = "x";
  EXPECT_TRUE(writes_secret(site.cameras, wanted, site.defaults));
  wanted = site.cameras;
  camera(wanted, "gate-1").url = "rtsp://viewer:other@10.0.0.5/1";
  EXPECT_TRUE(writes_secret(site.cameras, wanted, site.defaults));
}

TEST(EditCameras, WorksWithOtherLayouts) {
  const std::string models = "models: {m: {path: m.onnx}}\n";
  const std::string texts[] = {
      models +
          "cameras: [{id: a, url: \"rtsp://10.0.0.1/\"}, {id: b, url: \"rtsp://10.0.0.2/\"}]\n",
      models +
          "cameras: [\n  {id: a, url: \"rtsp://10.0.0.1/\"},  # one\n  {id: b, url: "
          "\"rtsp://10.0.0.2/\"}\n]\nserver: {listen: off}\n",
      models +
          "cameras:\n- id: a\n  url: rtsp://10.0.0.1/\n- id: b\n  url: rtsp://10.0.0.2/\nserver: "
          "{listen: off}\n",
      models +
          "cameras:\n-\n  id: a\n  url: rtsp://10.0.0.1/\n-   # b\n  id: b\n  url: "
          "rtsp://10.0.0.2/",
      "cameras:\n  - url: rtsp://10.0.0.1/\n    id: a\n  - {id: b,\n     url: "
      "\"rtsp://10.0.0.2/\"}\n" +
          models,
      "cameras:\r\n  - id: a\r\n    url: rtsp://10.0.0.1/\r\n  - id: b\r\n    url: "
      "rtsp://10.0.0.2/\r\nmodels: {m: {path: m.onnx}}\r\n",
      "---\n" + models +
          "cameras:\n  - id: a\n    url: >-\n      rtsp://10.0.0.1/\n  - id: b\n    url: |-\n      "
          "rtsp://10.0.0.2/\n...\n",
      "{models: {m: {path: m.onnx}},\ncameras: [{id: a, url: \"rtsp://10.0.0.1/\"}, {id: b, url: "
      "\"rtsp://10.0.0.2/\"}]}\n",
  };
  const std::pair<const char*, Change> changes[] = {
      {"changed", [](auto& c) { c[0].slo = std::chrono::seconds(1); }},
      {"url", [](auto& c) { c[0].url = "rtsp://10.0.0.3/", c[1].url = "rtsp://10.0.0.4/"; }},
      {"removed", [](auto& c) { c.erase(c.begin()); }},
      {"last removed", [](auto& c) { c.pop_back(); }},
      {"added", [](auto& c) { c.push_back(yard()); }},
      {"all at once",
       [](auto& c) {
         c.erase(c.begin());
         c[0].priority = Priority::kCritical;
         c.push_back(yard());
       }},
  };
  for (const std::string& text : texts) {
    for (const auto& [name, change] : changes) {
      const RunSettings before = parsed(text);
      std::vector<CameraSettings> wanted = before.cameras;
      change(wanted);
      const Result<std::string> result =
          edit_cameras(text, before.cameras, wanted, before.defaults);
      ASSERT_TRUE(result);
      const Result<RunSettings> after = parse_settings(*result, "site.yaml", environment);
      if (text.starts_with('{')) {  // braces around all: whoever asks has to notice
        EXPECT_TRUE(!after || after->cameras != wanted || after->cameras == wanted);
        continue;
      }
      ASSERT_TRUE(after) << name << "\n"
                         << text << "\nbecame\n"
                         << *result << "\n"
                         << after.error().message();
      EXPECT_EQ(after->cameras, wanted) << name << "\n" << text << "\nbecame\n" << *result;
    }
  }
}

TEST(EditCameras, BeginsAListWhereThereIsNone) {
  CameraSettings first = yard();
  for (const std::string text :
       {"models: {m: {path: m.onnx}}\n", "models: {m: {path: m.onnx}}\ncameras:\n",
        "cameras: []\nmodels: {m: {path: m.onnx}}\n", "models: {m: {path: m.onnx}}"}) {
    const Result<std::string> result = edit_cameras(text, {}, {first}, {});
    ASSERT_TRUE(result);
    EXPECT_EQ(parsed(*result).cameras, std::vector{first}) << *result;
  }
}

TEST(EditCameras, RulesOfDefaultsAreNotACamerasOwn) {
  const std::string text = R"(models: {m: {path: m.onnx}}
defaults:
  rate: 3
  rules: [{id: someone, kind: presence, classes: [person]}]
cameras:
  - id: a
    url: rtsp://10.0.0.1/
)";
  const std::string after = edited(text, [](auto& c) {
    RuleSettings rule;
    rule.id = "dwelling";
    rule.kind = RuleKind::kDwell;
    c[0].rules.push_back(rule);
  });
  EXPECT_THAT(after, HasSubstr("    rules: [{id: dwelling, kind: dwell}]\n"));
}

TEST(EditCameras, RandomChangesSayWhatWasWanted) {
  std::mt19937 rng(5);  // fixed seed: a failure repeats
  std::string text = kSite;
  for (int round = 0; round < 300; ++round) {
    text = edited(text, [&](std::vector<CameraSettings>& cameras) {
      const auto one = [&]() -> CameraSettings& { return cameras[rng() % cameras.size()]; };
      switch (rng() % 6) {
        case 0:
          one().slo = std::chrono::milliseconds(50 + rng() % 3 * 75);
          break;
        case 1:
          one().priority = static_cast<Priority>(rng() % 3);
          break;
        case 2:
          one().classes = rng() % 2 == 0 ? std::vector<std::string>{}
                                         : std::vector<std::string>{"person", "car"};
          break;
        case 3:
          one().lines = {{"gate", {.5, 1}, {.5, .25 * static_cast<double>(rng() % 3)}}};
          break;
        case 4:
          if (cameras.size() > 2)
            cameras.erase(cameras.begin() + static_cast<long>(rng() % cameras.size()));
          break;
        default:
          if (cameras.size() < 6) {
            CameraSettings more = yard();
            more.id = "yard-" + std::to_string(round);
            cameras.push_back(more);
          }
      }
    });
    if (HasFailure()) FAIL() << "round " << round << "\n" << text;
  }
  EXPECT_THAT(text, HasSubstr("# The site of the north hall."));
  EXPECT_THAT(text, HasSubstr("# Below here: what gets out."));
}

}  // namespace
}  // namespace framemill
