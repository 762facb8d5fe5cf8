#include "framemill/engine/sinks/sqlite/sqlite_sink.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

class SqliteSinkTest : public testing::Test {
 protected:
  void SetUp() override {
    cameras_.append({"gate-1", {"person"}});
    cameras_.append({"gate-2", {"person"}});
  }

  std::unique_ptr<SqliteSink> open(SqliteSinkOptions options = {}) {
    options.path = folder_ / "events.db";
    options.run_id = "RUN";
    Result<std::unique_ptr<SqliteSink>> sink = SqliteSink::create(options, cameras_);
    EXPECT_TRUE(sink) << (sink ? "" : sink.error().message());
    return std::move(*sink);
  }
  static Answer answer(CameraIndex camera, std::int64_t seq, Duration at) {
    Answer answer;
    answer.camera = camera;
    answer.stamp.seq = seq;
    answer.stamp.captured_at = WallTime(at);
    answer.origin = Origin::kInferred;
    answer.latency = 12ms;
    answer.detections.push_back({.score = .9F, .box = {1, 2, 3, 4}, .track = 5});
    return answer;
  }
  std::int64_t count(const std::string& sql) {
    Result<std::unique_ptr<Database>> database = Database::open(folder_ / "events.db", {});
    EXPECT_TRUE(database);
    return *(*database)->query_integer(sql);
  }
  const TempFolder folder_;
  CameraDirectory cameras_;
};

TEST_F(SqliteSinkTest, KeepsAnswersAndAlarmsOnce) {
  AlarmEvent event;
  event.alarm_id = "A1";
  event.camera_id = "gate-1";
  event.at = WallTime(60s);
  for (int round = 0; round < 2; ++round) {  // the second time after a restart
    const auto sink = open();
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(sink->write(answer(0, i, 60s + i * 1s)));
    Answer none = answer(1, 0, 60s);
    none.origin = Origin::kNone;
    none.drop_reason = DropReason::kLate;
    none.detections.clear();
    ASSERT_TRUE(sink->write(none));
    ASSERT_TRUE(sink->write_alarm(event));
    ASSERT_TRUE(sink->flush());
  }
  EXPECT_EQ(count("SELECT count(*) FROM answers"), 101);
  EXPECT_EQ(count("SELECT count(*) FROM alarm_events"), 1);
  EXPECT_EQ(count("SELECT sum(answered) FROM minutes"), 100);
  EXPECT_EQ(count("SELECT sum(unanswered) FROM minutes"), 1);
  EXPECT_EQ(count("SELECT count(*) FROM answer_list WHERE camera='gate-1' AND run='RUN' AND "
                  "json_extract(detections,'$[0].label')='person' AND "
                  "captured_at LIKE '1970-01-01T00:0%Z'"),
            100);
  EXPECT_EQ(count("SELECT count(*) FROM open_alarms"), 1);
}

TEST_F(SqliteSinkTest, DeletesByAge) {
  const auto sink = open({.keep = 60s});
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(sink->write(answer(0, i, 1000s + i * 1s)));
  ASSERT_TRUE(sink->flush());
  while (*sink->delete_some()) {
  }
  EXPECT_EQ(count("SELECT count(*) FROM answers"), 61);
  EXPECT_EQ(count("SELECT min(at_ms) FROM answers"), 1939'000);
}

TEST_F(SqliteSinkTest, AClockThatWasInTheFutureDeletesNothingOnceItIsRight) {
  const auto sink = open({.keep = 60s});
  ASSERT_TRUE(sink->write(answer(0, 0, 1'000'000s)));
  ASSERT_TRUE(sink->flush());
  for (int i = 1; i <= 5000; ++i) {  // so many that it tidies up
    ASSERT_TRUE(sink->write(answer(0, i, 1000s + i * 10ms)));
    if (i % 100 == 0) {
      ASSERT_TRUE(sink->flush());
    }
  }
  EXPECT_EQ(count("SELECT count(*) FROM answers"), 5001);
}

TEST_F(SqliteSinkTest, DeletesBySizeTheOldestOfAllCameras) {
  const auto sink = open({.bytes_max = 1'000'000});
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(sink->write(answer(static_cast<CameraIndex>(i % 2), i / 2, 1000s + i * 100ms)));
  }
  ASSERT_TRUE(sink->flush());
  while (*sink->delete_some()) {
  }
  const std::int64_t left = count("SELECT count(*) FROM answers");
  EXPECT_GT(left, 5'000);
  EXPECT_LT(left, 15'000);
  EXPECT_EQ(count("SELECT max(seq) FROM answers"), 9'999) << "the newest stay";
  EXPECT_LE(
      count("SELECT abs((SELECT count(*) FROM answers WHERE camera=1) - (SELECT count(*) FROM "
            "answers WHERE camera=2))"),
      1);
}

TEST_F(SqliteSinkTest, AnotherProgramsDatabaseIsLeftAlone) {
  {
    Result<std::unique_ptr<Database>> other = Database::open(folder_ / "events.db", {});
    ASSERT_TRUE((*other)->run("CREATE TABLE accounts(id)"));
  }
  const Result<std::unique_ptr<SqliteSink>> sink =
      SqliteSink::create({.path = folder_ / "events.db"}, cameras_);
  ASSERT_FALSE(sink);
  EXPECT_THAT(sink.error().message(), testing::HasSubstr("another program"));
}

TEST_F(SqliteSinkTest, AFileThatIsNoDatabaseIsRefused) {
  std::ofstream(folder_ / "events.db") << std::string(5000, 'x');
  const Result<std::unique_ptr<SqliteSink>> sink =
      SqliteSink::create({.path = folder_ / "events.db"}, cameras_);
  ASSERT_FALSE(sink);
  EXPECT_EQ(sink.error().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace framemill
