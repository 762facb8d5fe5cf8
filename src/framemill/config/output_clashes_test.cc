#include "framemill/config/output_clashes.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using testing::HasSubstr;

class OutputClashesTest : public testing::Test {
 protected:
  OutputClashesTest() {
    settings_.cameras.push_back({.id = "gate", .url = folder_.write("clip.mp4", "film")});
    settings_.models.push_back({.name = "objects",
                                .path = folder_.write("m.xml", "x"),
                                .labels = folder_.write("l", "a")});
    settings_.models[0].ladder = {folder_.write("n.onnx", "n")};
    folder_.write("m.bin", "weights");
    folder_.write("n.onnx.data", "weights");
  }
  /// "place: message" of each, one a line.
  std::string problems() const {
    std::string lines;
    for (const SettingProblem& problem : find_output_clashes(settings_, config_))
      lines += describe_place(problem.place, settings_) + ": " + problem.message + "\n";
    return lines;
  }

  const TempFolder folder_;
  const std::string config_ = folder_.write("site.yaml", "models:");
  RunSettings settings_;
};

TEST_F(OutputClashesTest, NoOutputOverwritesWhatIsRead) {
  const std::pair<const char*, const char*> inputs[] = {
      {"clip.mp4", "is read as cameras[gate].url"},   {"m.xml", "is read as models.objects.path"},
      {"m.bin", "is read as models.objects.path"},    {"l", "is read as models.objects.labels"},
      {"n.onnx", "is read as models.objects.ladder"}, {"n.onnx.data", "models.objects.ladder"},
      {"site.yaml", "is the configuration itself"},   {"x/../clip.mp4", "cameras[gate].url"},
      {"link.mp4", "is read as cameras[gate].url"}};
  std::filesystem::create_directory(folder_ / "x");
  std::filesystem::create_symlink(folder_ / "clip.mp4", folder_ / "link.mp4");
  for (const auto& [name, says] : inputs) {
    const std::string path = folder_ / name;
    for (std::string OutputSettings::*output :
         {&OutputSettings::results, &OutputSettings::summary, &OutputSettings::trace}) {
      settings_.output = {};
      settings_.output.*output = path;
      EXPECT_THAT(problems(), HasSubstr(says)) << name;
    }
    settings_.output = {};
    for (const char* const type : {"jsonl", "sqlite"}) {
      settings_.sinks = {{.type = type, .path = path}};
      EXPECT_THAT(problems(), HasSubstr("sinks[0].path: ")) << name;
    }
    settings_.sinks = {{.type = "modbus", .map = path}};
    EXPECT_THAT(problems(), HasSubstr("sinks[0].map: ")) << name;
    settings_.sinks.clear();
    settings_.server.audit_log = path;
    EXPECT_THAT(problems(), HasSubstr("server.audit_log: ")) << name;
    settings_.server.audit_log.clear();
  }
}

TEST_F(OutputClashesTest, WhatIsWrittenBesideAnOutputCounts) {
  settings_.cameras[0].url = folder_.write("r.2", "film");
  folder_.write("r.1", "older");
  settings_.sinks = {{.type = "jsonl", .path = folder_ / "r", .size_mb = 1}};
  EXPECT_THAT(problems(), HasSubstr("sinks[0].path: "));
  settings_.sinks[0].size_mb = 0;
  EXPECT_EQ(problems(), "");
  settings_.cameras[0].url = folder_.write("gate.jpg", "picture");
  settings_.output.snapshot_dir = folder_.path();
  EXPECT_THAT(problems(), HasSubstr("output.snapshot: "));
}

TEST_F(OutputClashesTest, TwoOutputsAreNotOneFile) {
  settings_.output.results = folder_ / "x";
  settings_.output.summary = folder_ / "." / "x";
  EXPECT_THAT(problems(), HasSubstr("output.summary: is written to by something else too "
                                    "(output.results)"));
  settings_.output.summary = "";
  settings_.output.trace = folder_ / "x";
  EXPECT_THAT(problems(), HasSubstr("output.trace: "));
  settings_.output.trace = "";
  settings_.sinks = {{.type = "sqlite", .path = folder_ / "x"}};
  EXPECT_THAT(problems(), HasSubstr("sinks[0].path: "));
  folder_.write("x", "older");
  std::filesystem::create_hard_link(folder_ / "x", folder_ / "y");
  settings_.sinks[0].path = folder_ / "y";
  EXPECT_THAT(problems(), HasSubstr("sinks[0].path: "));
  settings_.sinks[0].path = folder_ / "z";
  EXPECT_EQ(problems(), "");
}

TEST_F(OutputClashesTest, WhatIsNoFileMayBeWrittenToTwice) {
  settings_.output = {.results = "/dev/null", .summary = "-", .trace = "/dev/null"};
  settings_.sinks = {{.type = "jsonl", .path = "/dev/stderr"}};
  EXPECT_EQ(problems(), "");
  settings_.sinks = {{.type = "jsonl", .path = "-"}};  // lines of both would mix
  EXPECT_THAT(problems(), HasSubstr("sinks[0].path: "));
}

}  // namespace
}  // namespace framemill
