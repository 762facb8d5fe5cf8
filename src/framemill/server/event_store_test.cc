#include "framemill/server/event_store.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/server/event_log.h"

namespace framemill {
namespace {

using std::chrono::hours;
using testing::ElementsAre;

class EventStoreTest : public testing::Test {
 protected:
  std::unique_ptr<EventStore> open(Duration keep = Duration::zero()) {
    Result<std::unique_ptr<EventStore>> store = EventStore::open(folder_ / "events.db", keep);
    EXPECT_TRUE(store) << (store ? "" : store.error().message());
    return std::move(*store);
  }
  static std::vector<std::int64_t> ids(const std::vector<RunEvent>& events) {
    std::vector<std::int64_t> ids;
    for (const RunEvent& event : events) ids.push_back(event.id);
    return ids;
  }
  const TempFolder folder_;
};

TEST_F(EventStoreTest, EventsSurviveARestartAndNumbersGoOn) {
  ManualClock clock;
  for (int run = 0; run < 3; ++run) {
    EventLog log(clock, 10);
    log.attach(open());
    log.add("run_started", "", "started");
    log.add("camera_down", "gate-1", "no answer", "anna");
  }
  EventLog log(clock, 10);
  log.attach(open());
  const EventLog::Page page = log.newest({});
  EXPECT_TRUE(page.is_from_store);
  EXPECT_THAT(ids(page.events), ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_EQ(page.events[0].camera, "gate-1");
  EXPECT_EQ(page.events[0].text, "no answer");
  EXPECT_EQ(page.events[0].by, "anna");
  EXPECT_THAT(ids(log.newest({.kind = "camera_down", .before = 6}).events), ElementsAre(4, 2));
  EXPECT_THAT(ids(log.newest({.camera = "gate-1", .limit = 1}).events), ElementsAre(6));
}

TEST_F(EventStoreTest, TimesAreFromAndBefore) {
  const auto store = open();
  for (int i = 1; i <= 5; ++i)
    ASSERT_TRUE(store->add({.id = i, .at = WallTime(hours(i)), .kind = "alarm"}));
  EXPECT_THAT(ids(*store->newest({.since = WallTime(hours(2)), .until = WallTime(hours(4))})),
              ElementsAre(3, 2));
}

TEST_F(EventStoreTest, OldEventsAreDeleted) {
  const auto store = open(hours(100));
  for (int i = 1; i <= 1001; ++i)
    ASSERT_TRUE(store->add({.id = i, .at = WallTime(hours(i)), .kind = "alarm"}));
  // It tidies up now and then only.
  const std::vector<RunEvent> events = *store->newest({.limit = 10'000});
  EXPECT_EQ(events.front().id, 1001);
  EXPECT_GE(events.back().id, 901);
}

TEST_F(EventStoreTest, ADatabaseThatSomebodyElseHoldsMakesNobodyWait) {
  ManualClock clock;
  EventLog log(clock, 10);
  log.attach(open());
  log.add("alarm", "gate-1", "before");
  const auto other = *Database::open(folder_ / "events.db", {});
  ASSERT_TRUE(other->run("BEGIN IMMEDIATE"));
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) log.add("alarm", "gate-1", "meanwhile");
  const EventLog::Page page = log.newest({.limit = 30});
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(2));
  EXPECT_TRUE(page.is_from_store);
  EXPECT_EQ(page.events.size(), 21U);
  EXPECT_TRUE(std::ranges::is_sorted(page.events, std::greater<>(), &RunEvent::id));
  EXPECT_THAT(ids(log.newest({.before = 20, .limit = 2}).events), ElementsAre(19, 18));
  ASSERT_TRUE(other->run("COMMIT"));
}

TEST_F(EventStoreTest, WithoutItsDatabaseThereIsTheMemory) {
  ManualClock clock;
  EventLog log(clock, 10);
  log.attach(open());
  log.add("alarm", "gate-1", "one");
  {
    const auto other = *Database::open(folder_ / "events.db", {});
    ASSERT_TRUE(other->run("DROP TABLE events"));
  }
  log.add("alarm", "gate-1", "two");
  const EventLog::Page page = log.newest({});
  EXPECT_FALSE(page.is_from_store);
  EXPECT_THAT(ids(page.events), ElementsAre(2, 1));
}

}  // namespace
}  // namespace framemill
