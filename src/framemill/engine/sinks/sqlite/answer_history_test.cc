#include "framemill/engine/sinks/sqlite/answer_history.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/engine/sinks/sqlite/sqlite_sink.h"

namespace framemill {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

/// A database with answers of three cameras, as the sink writes them: `kFrames` of each, at the
/// same times.
class AnswerHistoryTest : public testing::Test {
 protected:
  static constexpr int kFrames = 50;

  AnswerHistoryTest() {
    for (const char* id : {"gate", "dock", "yard"}) directory_.append({id, {"person", "a \"b\""}});
    sink_ = *SqliteSink::create({.path = path_, .run_id = "RUN1"}, directory_);
    for (int frame = 0; frame < kFrames; ++frame)
      for (CameraIndex camera = 0; camera < 3; ++camera) write(camera, frame);
    EXPECT_TRUE(sink_->flush());
    history_ = *AnswerHistory::open(path_);
  }

  void write(CameraIndex camera, int frame) {
    Answer answer;
    answer.camera = camera;
    answer.stamp.seq = frame;
    answer.stamp.frame_index = 2 * frame;
    answer.stamp.captured_at = WallTime(milliseconds(1'000'000 + 100 * frame));
    answer.origin = frame % 5 == 4   ? Origin::kNone
                    : frame % 2 == 0 ? Origin::kInferred
                                     : Origin::kPropagated;
    answer.drop_reason = DropReason::kLate;
    answer.latency = milliseconds(30 + frame);
    if (answer.origin != Origin::kNone && frame % 10 == 0)
      answer.detections.push_back(
          {.class_id = camera == 1 ? 1 : 0, .score = .5F, .box = {1, 2, 3, 4}});
    EXPECT_TRUE(sink_->write(answer));
  }

  /// All pages of `query`, in one list; fails where a row stands twice or the order is wrong.
  std::vector<AnswerRow> all(AnswerHistory::Query query) {
    std::vector<AnswerRow> rows;
    std::set<std::pair<std::string, std::int64_t>> seen;
    for (int page = 0; page < 1000; ++page) {
      const Result<AnswerHistory::Page> found = history_->newest(query);
      EXPECT_TRUE(found) << (found ? "" : found.error().message());
      if (!found) return rows;
      EXPECT_LE(found->rows.size(), query.limit);
      for (const AnswerRow& row : found->rows) {
        EXPECT_TRUE(seen.insert({row.camera, row.seq}).second) << row.camera << " " << row.seq;
        if (!rows.empty()) {
          EXPECT_LE(row.at_ms, rows.back().at_ms);
        }
        rows.push_back(row);
      }
      if (found->next_cursor.empty()) return rows;
      query.cursor = found->next_cursor;
    }
    ADD_FAILURE() << "the pages do not end";
    return rows;
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "answers.db";
  CameraDirectory directory_;
  std::unique_ptr<SqliteSink> sink_;
  std::unique_ptr<AnswerHistory> history_;
};

TEST_F(AnswerHistoryTest, PagesOfAnySizeGiveEachRowOnce) {
  for (const std::size_t limit : {1U, 2U, 7U, 150U, 1000U})
    EXPECT_EQ(all({.limit = limit}).size(), 3U * kFrames) << limit;
  EXPECT_EQ(all({.camera = "dock", .limit = 4}).size(), static_cast<std::size_t>(kFrames));
  EXPECT_TRUE(all({.camera = "nobody"}).empty());
}

TEST_F(AnswerHistoryTest, RowsAreWhatWasWritten) {
  const std::vector<AnswerRow> rows = all({.camera = "gate", .limit = 10});
  const AnswerRow& last = rows.front();
  EXPECT_EQ(last.run, "RUN1");
  EXPECT_EQ(last.seq, kFrames - 1);
  EXPECT_EQ(last.frame_index, 2 * (kFrames - 1));
  EXPECT_EQ(last.at_ms, 1'000'000 + 100 * (kFrames - 1));
  EXPECT_EQ(last.origin, "none");
  EXPECT_EQ(last.reason, "late");
  EXPECT_TRUE(last.detections.empty());
  const AnswerRow& first = rows.back();
  EXPECT_EQ(first.origin, "inferred");
  EXPECT_EQ(first.latency_ms, 30);
  EXPECT_THAT(first.detections, HasSubstr("\"label\":\"person\""));
}

TEST_F(AnswerHistoryTest, FiltersAreThoseOfTheQuery) {
  const auto count = [this](AnswerHistory::Query query) {
    query.limit = 9;
    return all(query).size();
  };
  EXPECT_EQ(count({.since_ms = 1'000'000 + 100 * 10}), 3U * (kFrames - 10));
  EXPECT_EQ(count({.until_ms = 1'000'000 + 100 * 10}), 3U * 10);
  EXPECT_EQ(count({.since_ms = 1'000'500, .until_ms = 1'000'600}), 3U);
  EXPECT_EQ(count({.origin = "none"}), 3U * kFrames / 5);
  EXPECT_EQ(count({.label = "person"}), 2U * kFrames / 10);
  EXPECT_EQ(count({.label = "a \"b\""}), 1U * kFrames / 10);
  EXPECT_EQ(count({.label = "perso"}), 0U);
  EXPECT_EQ(count({.camera = "gate", .label = "a \"b\""}), 0U);
}

TEST_F(AnswerHistoryTest, ACursorStaysValidWhileRowsCome) {
  const Result<AnswerHistory::Page> first = history_->newest({.limit = 10});
  ASSERT_TRUE(first);
  for (int frame = kFrames; frame < kFrames + 20; ++frame) write(0, frame);
  ASSERT_TRUE(sink_->flush());
  EXPECT_EQ(all({.cursor = first->next_cursor, .limit = 10}).size(), 3U * kFrames - 10);
  EXPECT_EQ(history_->newest({.limit = 1})->rows[0].seq, kFrames + 19) << "and new ones are seen";
}

TEST_F(AnswerHistoryTest, WhatIsNoCursorIsRefused) {
  for (const char* cursor : {"x", "12", "d.", "d.1.2.3", "d.1.2.3.x", "d.1.2.3.4.5", "d.1..3.4",
                             "d.99999999999999999999.1.1.1"}) {
    const Result<AnswerHistory::Page> page = history_->newest({.cursor = cursor});
    ASSERT_FALSE(page) << cursor;
    EXPECT_EQ(page.error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST_F(AnswerHistoryTest, KnowsCamerasOfEarlierRuns) {
  EXPECT_TRUE(*history_->knows_camera("yard"));
  EXPECT_FALSE(*history_->knows_camera("nobody"));
}

}  // namespace
}  // namespace framemill
