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
  RunFigures figures = figures_of({.name = "events.db",
                                   .last_error = "events.db: no space left",
                                   .is_failing = true,
                                   .spool = {}});
  EXPECT_THAT(troubles_of(figures.report), ElementsAre("a sink fails"));
  EXPECT_EQ(run_json(figures)["sinks"][0]["error"], "events.db: no space left");
  figures.report.sinks[0].is_failing = false;
  EXPECT_THAT(troubles_of(figures.report), IsEmpty());
  EXPECT_FALSE(run_json(figures)["sinks"][0].contains("error"));
}

TEST(ApiJson, APeerThatIsGoneIsToldWhileItIs) {
  RunFigures figures = figures_of(
      {.name = "mqtt",
       .written = 1000,
       .last_error = {},
       .spool = {.waiting = 900, .dropped = 100, .retries = 7, .last_error = "refused"}});
  EXPECT_THAT(troubles_of(figures.report),
              ElementsAre("a sink cannot deliver, what is meant for its peer waits on disk"));
  const nlohmann::ordered_json sink = run_json(figures)["sinks"][0];
  EXPECT_FALSE(sink.contains("error")) << "its own disk works";
  EXPECT_EQ(sink["spool"]["error"], "refused");
  EXPECT_EQ(sink["spool"]["waiting"], 900);
  EXPECT_EQ(sink["spool"]["dropped"], 100);
  figures.report.sinks[0].spool.last_error.clear();
  EXPECT_THAT(troubles_of(figures.report), IsEmpty());
}

}  // namespace
}  // namespace framemill
