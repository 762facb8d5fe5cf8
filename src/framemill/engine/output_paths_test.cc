#include "framemill/engine/output_paths.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using testing::HasSubstr;

std::string problem_of(const RunSettings& settings) {
  const Result<void> checked = check_output_paths(settings);
  return checked ? std::string() : checked.error().message();
}

TEST(CheckOutputPaths, NamesEachThatCannotBeWritten) {
  const TempFolder folder;
  const std::string nowhere = folder / "none/x";
  for (std::string OutputSettings::*output :
       {&OutputSettings::results, &OutputSettings::summary, &OutputSettings::trace}) {
    RunSettings settings;
    settings.output.*output = nowhere;
    EXPECT_THAT(problem_of(settings), HasSubstr("none/x: "));
    settings.output.*output = folder.path();
    EXPECT_THAT(problem_of(settings), HasSubstr("Is a directory"));
  }
  RunSettings settings;
  settings.sinks = {{.type = "mqtt"}, {.type = "sqlite", .path = nowhere}};
  EXPECT_THAT(problem_of(settings), HasSubstr("sinks[1]: "));
  settings.sinks.clear();
  settings.output.snapshot_dir = folder.write("file") + "/below";
  EXPECT_THAT(problem_of(settings), HasSubstr("snapshots cannot be written there"));
}

TEST(CheckOutputPaths, MakesNothing) {
  const TempFolder folder;
  RunSettings settings;
  settings.output = {.results = folder / "r", .summary = "-", .snapshot_dir = folder / "a/b"};
  settings.output.trace = "/dev/null";
  settings.sinks = {{.type = "jsonl", .path = folder.write("older")}};
  EXPECT_EQ(problem_of(settings), "");
  EXPECT_FALSE(std::filesystem::exists(folder / "r"));
  EXPECT_FALSE(std::filesystem::exists(folder / "a"));
}

}  // namespace
}  // namespace framemill
