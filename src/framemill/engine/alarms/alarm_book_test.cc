#include "framemill/engine/alarms/alarm_book.h"

#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

class AlarmBookTest : public testing::Test {
 protected:
  std::unique_ptr<AlarmBook> open() {
    Result<std::unique_ptr<AlarmBook>> book = AlarmBook::create(path_);
    EXPECT_TRUE(book) << (book ? "" : book.error().message());
    return std::move(*book);
  }
  static WallTime at(Duration time) { return WallTime(1'000'000s + time); }
  static AlarmBook::Raise raise(const std::string& rule, Duration time = 0s,
                                bool is_latched = false) {
    return {.id = new_alarm_id(at(time)),
            .camera_id = "gate-1",
            .rule = rule,
            .kind = "presence",
            .message = "1 person",
            .run = "RUN",
            .picture_path = {},
            .severity = AlarmSeverity::kCritical,
            .is_latched = is_latched,
            .at = at(time),
            .seq = 7};
  }
  static std::vector<std::string> states(std::vector<NumberedEvent> events) {
    std::vector<std::string> list;
    for (const NumberedEvent& one : events)
      list.push_back(one.event.rule + " " + std::string(to_string(one.event.state)));
    return list;
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "alarms.db";
};

TEST_F(AlarmBookTest, RaisedAcknowledgedCleared) {
  const auto book = open();
  EXPECT_TRUE(book->raise(raise("a")));
  EXPECT_FALSE(book->raise(raise("a", 1s))) << "one open alarm a rule";
  const std::vector<Alarm> open_list = book->open_alarms();
  ASSERT_EQ(open_list.size(), 1U);
  const Result<Alarm> seen = book->acknowledge(open_list[0].id, "kim", at(2s));
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->acknowledged_by, "kim");
  EXPECT_TRUE(book->acknowledge(open_list[0].id, "lee", at(3s)));
  EXPECT_EQ(book->find(open_list[0].id)->acknowledged_by, "kim") << "the first one counts";
  book->clear("gate-1", "a", at(4s));
  EXPECT_THAT(states(book->take_events()), ElementsAre("a raised", "a acknowledged", "a cleared"));
  EXPECT_TRUE(book->open_alarms().empty());
  const Result<Alarm> late = book->acknowledge(open_list[0].id, "lee", at(5s));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(book->acknowledge("nothing", "lee", at(5s)).error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(book->raise(raise("a", 6s))) << "a new one";
}

TEST_F(AlarmBookTest, ALatchedAlarmWaitsForAPerson) {
  const auto book = open();
  book->raise(raise("a", 0s, true));
  book->clear("gate-1", "a", at(1s));
  ASSERT_EQ(book->open_alarms().size(), 1U);
  EXPECT_TRUE(book->open_alarms()[0].is_cause_gone);
  EXPECT_FALSE(book->is_raised("gate-1", "a"));
  EXPECT_FALSE(book->raise(raise("a", 2s, true))) << "the same alarm goes on";
  EXPECT_TRUE(book->is_raised("gate-1", "a"));
  book->clear("gate-1", "a", at(3s));
  EXPECT_TRUE(book->acknowledge(book->open_alarms()[0].id, "kim", at(4s)));
  EXPECT_THAT(states(book->take_events()), ElementsAre("a raised", "a acknowledged", "a cleared"));
}

TEST_F(AlarmBookTest, SurvivesARestart) {
  std::string id;
  {
    const auto book = open();
    book->raise(raise("a"));
    book->raise(raise("gone", 1s));
    book->clear("gate-1", "gone", at(2s));
    for (const NumberedEvent& one : book->take_events())
      if (one.event.rule == "a") book->confirm(one.number);
  }
  const auto book = open();
  EXPECT_TRUE(book->is_raised("gate-1", "a"));
  EXPECT_FALSE(book->raise(raise("a", 3s))) << "not raised twice";
  EXPECT_THAT(states(book->take_events()), ElementsAre("gone raised", "gone cleared"))
      << "what nobody confirmed comes again";
  book->clear_unknown([](const CameraId&, const std::string&) { return false; }, at(4s));
  EXPECT_THAT(states(book->take_events()), ElementsAre("a cleared"));
}

TEST_F(AlarmBookTest, EventsSayWhenTheAlarmWasRaisedAndWhetherTheyAreRetold) {
  {
    const auto book = open();
    book->raise(raise("a"));
    const std::vector<NumberedEvent> events = book->take_events();
    EXPECT_EQ(events[0].event.raised_at, at(0s));
    EXPECT_FALSE(events[0].event.is_retold);
  }
  const auto book = open();
  book->clear("gate-1", "a", at(9s));
  const std::vector<NumberedEvent> events = book->take_events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_TRUE(events[0].event.is_retold);
  EXPECT_FALSE(events[1].event.is_retold);
  for (const NumberedEvent& one : events) EXPECT_EQ(one.event.raised_at, at(0s));
}

TEST_F(AlarmBookTest, ListsPagesNewestFirst) {
  const auto book = open();
  for (int i = 0; i < 10; ++i) {
    AlarmBook::Raise one = raise("r" + std::to_string(i), i * 1s);
    one.camera_id = i % 2 == 0 ? "even" : "odd";
    book->raise(one);
    if (i < 6) book->clear(one.camera_id, one.rule, at(100s));
  }
  const auto rules = [&](const AlarmQuery& query) {
    std::string text;
    const auto page = book->list(query);  // kept: a range-for over *temporary would outlive it
    for (const Alarm& alarm : *page) text += alarm.rule.substr(1);
    return text;
  };
  EXPECT_EQ(rules({}), "9876543210");
  EXPECT_EQ(rules({.is_open_only = true}), "9876");
  EXPECT_EQ(rules({.camera = "odd"}), "97531");
  EXPECT_EQ(rules({.raised_from = at(3s), .raised_before = at(8s)}), "76543");
  const std::vector<Alarm> page = *book->list({.limit = 5});
  EXPECT_EQ(rules({.before_id = page.back().id, .limit = 3}), "432");
}

TEST_F(AlarmBookTest, ForgetsWhatIsOldAndSettled) {
  const auto book = open();
  AlarmBook::Raise one = raise("a");
  one.picture_path = "/p/a.jpg";
  book->raise(one);
  book->clear("gate-1", "a", at(1s));
  book->raise(raise("open", 0s));
  book->forget(at(10s));
  EXPECT_EQ(book->list({})->size(), 2U) << "its events are still on their way";
  book->confirm(book->take_events().back().number);
  EXPECT_THAT(book->forget(at(10s)), ElementsAre("/p/a.jpg"));
  EXPECT_EQ(book->list({})->size(), 1U) << "an open one stays";
}

TEST_F(AlarmBookTest, OneProcessAtATime) {
  const auto book = open();
  const pid_t child = ::fork();
  if (child == 0) {
    const Result<std::unique_ptr<AlarmBook>> second = AlarmBook::create(path_);
    const bool is_right = !second && second.error().code() == ErrorCode::kFailedPrecondition;
    ::_exit(is_right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(AlarmBookTest, WhatIsNoDatabaseIsRefused) {
  std::filesystem::create_directory(path_);
  const Result<std::unique_ptr<AlarmBook>> book = AlarmBook::create(path_);
  ASSERT_FALSE(book);
  EXPECT_EQ(book.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(book.error().message(), HasSubstr(path_));
}

TEST_F(AlarmBookTest, KilledAtAnyMomentItIsWhole) {
  // A child raises and clears as fast as it can, and says so through a pipe after each; then it is
  // killed. What it said has to be there, and nothing twice.
  std::mt19937 rng(11);
  for (int round = 0; round < 12; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      Result<std::unique_ptr<AlarmBook>> book = AlarmBook::create(path_);
      if (!book) ::_exit(1);
      for (int i = 0;; ++i) {
        const std::string rule = "r" + std::to_string(i % 3);
        const bool is_raised = (*book)->raise(raise(rule, round * 1000s + i * 1s));
        if (!is_raised) (*book)->clear("gate-1", rule, at(round * 1000s + i * 1s));
        const char what[2] = {static_cast<char>('0' + i % 3), is_raised ? '+' : '-'};
        if (::write(pipe_ends[1], what, 2) != 2) ::_exit(1);
      }
    }
    ::close(pipe_ends[1]);
    std::map<char, char> said;
    const std::size_t enough = 2 * (1 + rng() % 60);
    std::string all;
    char buffer[256];
    while (all.size() < enough) {
      const ssize_t n = ::read(pipe_ends[0], buffer, 2);
      ASSERT_GT(n, 0);
      all.append(buffer, static_cast<std::size_t>(n));
    }
    ::kill(child, SIGKILL);
    ssize_t n = 0;
    while ((n = ::read(pipe_ends[0], buffer, sizeof buffer)) > 0)
      all.append(buffer, static_cast<std::size_t>(n));
    ::close(pipe_ends[0]);
    ::waitpid(child, nullptr, 0);
    for (std::size_t i = 0; i + 1 < all.size(); i += 2) said[all[i]] = all[i + 1];

    const auto book = open();
    int different = 0;
    for (const auto& [rule, state] : said)
      different += book->is_raised("gate-1", std::string("r") + rule) != (state == '+');
    EXPECT_LE(different, 1) << "at most the change that was being made when it was killed";
    std::set<std::pair<std::string, AlarmState>> events;
    for (const NumberedEvent& one : book->take_events())
      EXPECT_TRUE(events.emplace(one.event.alarm_id, one.event.state).second) << "twice";
  }
}

}  // namespace
}  // namespace framemill
