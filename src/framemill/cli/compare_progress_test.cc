#include "framemill/cli/compare_progress.h"

#include <cstdio>
#include <functional>

#include <gtest/gtest.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// What `use` makes a progress write.
std::string written_by(CompareProgress::Style style,
                       const std::function<void(CompareProgress&)>& use) {
  std::FILE* const file = std::tmpfile();
  CHECK(file != nullptr);
  {
    CompareProgress progress(file, style);
    use(progress);
  }
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

void two_steps(CompareProgress& progress) {
  progress.begin("full inference");
  progress.show(.341);
  progress.show(.349);
  progress.show(std::nullopt);
  progress.begin("hold budget 0.2 (1 of 2)");
}

TEST(CompareProgress, OnATerminalOneLineIsDrawnAgainAndTakenAwayAtTheEnd) {
  EXPECT_EQ(written_by(CompareProgress::Style::kRedrawn, two_steps),
            "\r\x1b[2Kfull inference\r\x1b[2Kfull inference 34 %"
            "\r\x1b[2Khold budget 0.2 (1 of 2)\r\x1b[2K");
}

TEST(CompareProgress, ElsewhereAStepIsALine) {
  EXPECT_EQ(written_by(CompareProgress::Style::kLines, two_steps),
            "full inference\nhold budget 0.2 (1 of 2)\n");
}

TEST(CompareProgress, WritesNothingWithoutAStep) {
  EXPECT_EQ(written_by(CompareProgress::Style::kRedrawn, [](CompareProgress&) {}), "");
}

}  // namespace
}  // namespace framemill
