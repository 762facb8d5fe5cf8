#include "framemill/server/api_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace framemill {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RunFigures figures_of(SinkCounts sink) {
  RunFigures figures;
  figures.report.sinks.push_back(std::move(sink));
  return figures;
}

TEST(ApiJson, ASinkThatWorksAgainIsNoTrouble) {
  RunFigures figures = figures_of(
      {.name = "events.db", .last_error = "events.db: no space left", .is_failing = true, .spool = {}});
  EXPECT_THAT(troubles_of(figures.report), ElementsAre("a sink fails"));
  EXPECT_EQ(run_json(figures)["sinks"][0]["error"], "events.db: no space left");
  figures.report.sinks[0].is_failing = false;
  EXPECT_THAT(troubles_of(figures.report), IsEmpty());
  EXPECT_FALSE(run_json(figures)["sinks"][0].contains("error"));
}

}  // namespace
}  // namespace framemill
