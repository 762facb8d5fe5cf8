// What is remembered of a run: answers, events, alarms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/engine/alarms/alarm_book.h"
#include "framemill/server/alarm_board.h"
#include "framemill/server/answer_board.h"
#include "framemill/server/event_log.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

Answer answer_of(CameraIndex camera, std::int64_t seq, Duration latency = 10ms) {
  Answer answer;
  answer.camera = camera;
  answer.stamp.seq = seq;
  answer.stamp.captured_mono = TimePoint(std::chrono::milliseconds(100 * seq));
  answer.origin = Origin::kInferred;
  answer.latency = latency;
  return answer;
}

std::vector<std::int64_t> seqs(const std::vector<BoardEntry>& entries) {
  std::vector<std::int64_t> result;
  for (const BoardEntry& entry : entries) result.push_back(entry.answer->stamp.seq);
  return result;
}

TEST(AnswerBoard, KeepsTheNewestOfEachCamera) {
  AnswerBoard board(1000, 3);
  for (int i = 0; i < 10; ++i) board.take(answer_of(0, i));
  board.take(answer_of(1, 0));
  EXPECT_THAT(seqs(board.newest({.camera = 0})), ElementsAre(9, 8, 7));
  EXPECT_THAT(seqs(board.newest({.camera = 1})), ElementsAre(0));
  EXPECT_EQ(board.newest({}).size(), 4U);
  board.forget_others({}, TimePoint(900ms));  // its newest is from then
  EXPECT_EQ(board.newest({}).size(), 3U);
  board.forget_others({0}, TimePoint(1s));
  EXPECT_EQ(board.newest({}).size(), 3U);
  board.forget_others({1}, TimePoint(1s));
  EXPECT_TRUE(board.newest({}).empty());
}

TEST(AnswerBoard, IsBoundedOverAllCameras) {
  AnswerBoard board(100, 50);
  for (CameraIndex camera = 0; camera < 20; ++camera)
    for (int i = 0; i < 50; ++i) board.take(answer_of(camera, i));
  for (CameraIndex camera = 0; camera < 20; ++camera) board.take(answer_of(camera, 50));
  EXPECT_LE(board.newest({.limit = 10'000}).size(), 100U);
  EXPECT_EQ(board.newest({.camera = 7})[0].answer->stamp.seq, 50);
}

TEST(AnswerBoard, PagesMissNothingWhileAnswersCome) {
  AnswerBoard board(1000, 300);
  for (int i = 0; i < 100; ++i) board.take(answer_of(static_cast<CameraIndex>(i % 3), i));
  std::vector<std::int64_t> seen;
  BoardQuery query{.limit = 7};
  while (true) {
    const std::vector<BoardEntry> page = board.newest(query);
    if (page.empty()) break;
    for (const std::int64_t seq : seqs(page)) seen.push_back(seq);
    query.before = page.back().number;
    board.take(answer_of(0, 1000));
  }
  ASSERT_EQ(seen.size(), 100U);
  for (std::size_t i = 0; i < seen.size(); ++i)
    EXPECT_EQ(seen[i], 99 - static_cast<std::int64_t>(i));
}

TEST(AnswerBoard, KnowsTheLatencyOfTheLastSeconds) {
  AnswerBoard board(1000, 300);
  const auto p95 = [&](TimePoint since) {
    std::vector<Duration> latencies;
    board.add_latencies(0, since, latencies);
    return p95_of(latencies);
  };
  EXPECT_FALSE(p95(TimePoint{}));
  for (int i = 0; i < 100; ++i)
    board.take(answer_of(0, i, std::chrono::milliseconds(i < 50 ? 1000 : i)));
  EXPECT_EQ(p95(TimePoint(5000ms)), 97ms);  // 48th of 50
  EXPECT_EQ(p95(TimePoint{}), 1000ms);
}

TEST(AnswerBoard, LetsGoOfPictures) {
  AnswerBoard board(10, 10);
  Answer pictured = answer_of(0, 5);
  pictured.picture = std::make_shared<const Picture>();
  const std::weak_ptr<const Picture> picture = pictured.picture;
  board.take(pictured);
  pictured.picture.reset();
  board.take(answer_of(0, 6));
  ASSERT_TRUE(board.picture(0));
  EXPECT_EQ(board.picture(0)->stamp.seq, 5);
  board.forget_pictures(TimePoint(500ms));
  EXPECT_TRUE(board.picture(0));
  board.forget_pictures(TimePoint(501ms));
  EXPECT_FALSE(board.picture(0));
  EXPECT_TRUE(picture.expired());
}

TEST(EventLog, KeepsTheLastOnesAndPagesThroughThem) {
  ManualClock clock;
  EventLog log(clock, 10);
  for (int i = 1; i <= 25; ++i) log.add(i % 2 == 0 ? "even" : "odd", "gate-1", std::to_string(i));
  std::vector<std::int64_t> ids;
  for (const RunEvent& event : log.newest({.kind = "even"}).events) ids.push_back(event.id);
  EXPECT_THAT(ids, ElementsAre(24, 22, 20, 18, 16));
  EXPECT_EQ(log.newest({.before = 20, .limit = 1}).events[0].id, 19);
  EXPECT_TRUE(log.newest({.camera = "gate-2"}).events.empty());
  EXPECT_FALSE(log.newest({}).is_from_store);
}

AlarmEvent event_of(std::string id, AlarmState state, std::string camera = "gate-1") {
  AlarmEvent event;
  event.alarm_id = std::move(id);
  event.state = state;
  event.camera_id = std::move(camera);
  event.rule = "dock";
  event.by = state == AlarmState::kAcknowledged ? "anna" : "";
  return event;
}

TEST(AlarmBoard, FollowsAnAlarmThroughItsLife) {
  AlarmBoard board(100);
  board.take(event_of("01", AlarmState::kRaised));
  board.take(event_of("01", AlarmState::kRaised));  // delivered at least once
  EXPECT_EQ(board.open_counts()["gate-1"], 1);
  EXPECT_EQ(board.find("01")->state, AlarmState::kRaised);
  board.take(event_of("01", AlarmState::kAcknowledged));
  EXPECT_EQ(board.find("01")->acknowledged_by, "anna");
  EXPECT_EQ(board.open_counts()["gate-1"], 1);
  board.take(event_of("01", AlarmState::kCleared));
  board.take(event_of("01", AlarmState::kAcknowledged));  // late: it stays cleared
  EXPECT_EQ(board.find("01")->state, AlarmState::kCleared);
  EXPECT_TRUE(board.open_counts().empty());
  EXPECT_EQ(board.raised_counts().begin()->second, 1);
}

TEST(AlarmBoard, WhatAnEarlierRunRaisedIsNoRaiseOfThisOne) {
  AlarmBoard board(100);
  AlarmEvent cleared = event_of("01", AlarmState::kCleared);
  cleared.raised_at = WallTime(std::chrono::seconds(100));
  cleared.at = WallTime(std::chrono::seconds(500));
  const AlarmView view = board.take(cleared);  // before anything else is known of it
  EXPECT_EQ(view.raised.at, cleared.raised_at);
  EXPECT_EQ(view.raised.state, AlarmState::kRaised);
  EXPECT_EQ(view.state, AlarmState::kCleared);
  EXPECT_EQ(view.cleared_at, std::optional(cleared.at));
  AlarmEvent retold = event_of("02", AlarmState::kRaised);
  retold.is_retold = true;
  board.take(retold);
  EXPECT_EQ(board.open_counts()["gate-1"], 1);
  EXPECT_TRUE(board.raised_counts().empty());
}

TEST(AlarmBoard, AsksTheRulesToAcknowledge) {
  AlarmBoard board(100);
  board.take(event_of("01", AlarmState::kRaised));
  EXPECT_EQ(board.acknowledge("02", "anna").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(board.acknowledge("01", "anna").error().code(), ErrorCode::kUnavailable);
  int asked = 0;
  board.set_acknowledge([&](const std::string& id, const std::string& by) -> Result<void> {
    ++asked;
    AlarmEvent event = event_of(id, AlarmState::kAcknowledged);
    event.by = by;
    board.take(event);
    return {};
  });
  const Result<AlarmView> done = board.acknowledge("01", "ben");
  ASSERT_TRUE(done);
  EXPECT_EQ(done->acknowledged_by, "ben");
  ASSERT_TRUE(board.acknowledge("01", "carl"));
  EXPECT_EQ(asked, 1);
}

TEST(AlarmBoard, PagesFiltersAndForgetsClearedOnesFirst) {
  AlarmBoard board(3);
  board.take(event_of("01", AlarmState::kRaised));
  board.take(event_of("02", AlarmState::kRaised));
  board.take(event_of("02", AlarmState::kCleared));
  board.take(event_of("03", AlarmState::kRaised, "gate-2"));
  board.take(event_of("04", AlarmState::kRaised));
  EXPECT_FALSE(board.find("02"));
  const auto ids = [](const std::vector<AlarmView>& alarms) {
    std::vector<std::string> result;
    for (const AlarmView& alarm : alarms) result.push_back(alarm.raised.alarm_id);
    return result;
  };
  EXPECT_THAT(ids(board.newest({})), ElementsAre("04", "03", "01"));
  EXPECT_THAT(ids(board.newest({.before = "04", .limit = 1})), ElementsAre("03"));
  EXPECT_THAT(ids(board.newest({.camera = "gate-2"})), ElementsAre("03"));
  EXPECT_TRUE(board.newest({.state = AlarmState::kCleared}).empty());
}

TEST(AlarmBoard, ForgetsNoOpenOne) {
  AlarmBoard board(3);
  for (const char* const id : {"01", "02", "03", "04", "05"})
    board.take(event_of(id, AlarmState::kRaised));
  EXPECT_TRUE(board.find("01"));
  EXPECT_EQ(board.open_counts()["gate-1"], 5);
}

TEST(AlarmBoard, AfterARestartAllIsThereThatTheBookHas) {
  const TempFolder folder;
  const auto open_book = [&] { return *AlarmBook::create(folder / "alarms.db"); };
  const auto raise_of = [](const std::string& camera, int second, bool is_latched) {
    const WallTime at(std::chrono::seconds(1'000'000 + second));
    return AlarmBook::Raise{.id = new_alarm_id(at),
                            .camera_id = camera,
                            .rule = "dock",
                            .severity = AlarmSeverity::kCritical,
                            .is_latched = is_latched,
                            .at = at};
  };
  const AlarmBook::Raise latched = raise_of("gate-1", 0, true);
  constexpr int kLater = 600;
  {
    const std::unique_ptr<AlarmBook> book = open_book();
    book->raise(latched);
    for (int i = 1; i <= kLater; ++i) {
      const AlarmBook::Raise later = raise_of("gate-2", 2 * i, false);
      book->raise(later);
      book->clear("gate-2", "dock", later.at + 1s);
    }
  }
  const std::unique_ptr<AlarmBook> book = open_book();
  AlarmBoard board(100);
  board.attach({.list = [&](const AlarmQuery& query) { return book->list(query); },
                .find = [&](const std::string& id) { return book->find(id); }});
  board.set_acknowledge([&](const std::string& id, const std::string& by) -> Result<void> {
    if (const Result<Alarm> done = book->acknowledge(id, by, WallTime(2'000'000s)); !done)
      return fail(done.error());
    return {};
  });
  EXPECT_EQ(board.open_counts()["gate-1"], 1);
  EXPECT_EQ(board.newest({.is_open_only = true}).size(), 1U);
  EXPECT_EQ(board.newest({.state = AlarmState::kRaised}).at(0).raised.alarm_id, latched.id);
  EXPECT_TRUE(board.newest({.state = AlarmState::kAcknowledged}).empty());
  EXPECT_TRUE(board.newest({.severity = AlarmSeverity::kInfo}).empty());
  EXPECT_EQ(board.newest({.state = AlarmState::kCleared, .limit = 1000}).size(),
            std::size_t{kLater});
  AlarmBoard::Query page{.limit = 100};
  std::size_t seen = 0;
  std::string before;
  for (std::vector<AlarmView> alarms = board.newest(page); !alarms.empty();
       alarms = board.newest(page)) {
    seen += alarms.size();
    before = alarms.back().raised.alarm_id;
    page.before = before;
  }
  EXPECT_EQ(seen, kLater + 1U);
  EXPECT_TRUE(board.raised_counts().empty()) << "none of this run";

  const Result<AlarmView> done = board.acknowledge(latched.id, "anna");
  ASSERT_TRUE(done);
  EXPECT_EQ(done->acknowledged_by, "anna");
  book->clear("gate-1", "dock", WallTime(2'000'001s));
  EXPECT_EQ(board.find(latched.id)->state, AlarmState::kCleared);
}

}  // namespace
}  // namespace framemill
