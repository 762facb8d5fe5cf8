#include "framemill/engine/answer_ledger.h"

#include <algorithm>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

constexpr Size kPicture{640, 360};

Frame make_frame(std::int64_t seq, TimePoint captured_at, bool is_stream_start = false) {
  Picture picture;
  picture.size = kPicture;
  Frame frame;
  frame.stamp.seq = seq;
  frame.stamp.frame_index = 3 * seq;
  frame.stamp.pts_s = 0.1 * static_cast<double>(seq);
  frame.stamp.captured_mono = captured_at;
  frame.picture = std::make_shared<const Picture>(picture);
  frame.is_stream_start = frame.is_scene_start = is_stream_start;
  return frame;
}

Detection found(float score, Box box = {10, 10, 60, 60}, int class_id = 0) {
  return {.class_id = class_id, .score = score, .box = box};
}

class AnswerLedgerTest : public testing::Test {
 protected:
  AnswerLedger& make(LedgerOptions options = {}) {
    if (options.slo == Duration::zero()) options.slo = 200ms;
    ledger_.emplace(options, clock_, [this](Answer&& a) { answers_.push_back(std::move(a)); });
    return *ledger_;
  }
  std::vector<std::int64_t> published() const {
    std::vector<std::int64_t> seqs;
    for (const Answer& answer : answers_) seqs.push_back(answer.stamp.seq);
    return seqs;
  }

  ManualClock clock_;
  std::optional<AnswerLedger> ledger_;
  std::vector<Answer> answers_;
  const std::shared_ptr<const std::string> variant_ = std::make_shared<const std::string>("m");
};

TEST_F(AnswerLedgerTest, AnswersLeaveInFrameOrder) {
  AnswerLedger& ledger = make();
  for (int seq = 0; seq < 4; ++seq) ledger.enter(make_frame(seq, clock_.now(), seq == 0));
  ledger.settle_none(2, DropReason::kSuperseded);
  ledger.settle_reused(1);
  EXPECT_TRUE(answers_.empty()) << "they wait for frame 0, which is still at the model";
  ledger.settle_inferred(0, {found(.9F)}, variant_);
  EXPECT_EQ(published(), (std::vector<std::int64_t>{0, 1, 2}));
  ledger.settle_inferred(3, {}, variant_);
  EXPECT_EQ(published(), (std::vector<std::int64_t>{0, 1, 2, 3}));
}

TEST_F(AnswerLedgerTest, ReusedAnswersCarryTheBoxesOfTheirKeyFrame) {
  AnswerLedger& ledger = make();
  for (int seq = 0; seq < 3; ++seq) ledger.enter(make_frame(seq, clock_.now(), seq == 0));
  ledger.settle_inferred(0, {found(.9F), found(.2F)}, variant_);
  ledger.settle_reused(1);
  ledger.settle_inferred(2, {}, variant_);
  ASSERT_EQ(answers_.size(), 3U);
  EXPECT_EQ(answers_[1].origin, Origin::kReused);
  EXPECT_EQ(answers_[1].source_frame_index, 0);
  ASSERT_EQ(answers_[1].detections.size(), 1U) << "below the score: kept in the state only";
  EXPECT_EQ(answers_[1].detections, answers_[0].detections);
  EXPECT_GE(answers_[1].detections[0].track, 0);
  EXPECT_EQ(answers_[2].source_frame_index, 6);
  EXPECT_TRUE(answers_[2].detections.empty());
}

TEST_F(AnswerLedgerTest, WithoutAStateReuseIsLateAlsoAfterAReconnect) {
  AnswerLedger& ledger = make();
  ledger.enter(make_frame(0, clock_.now(), true));
  ledger.settle_reused(0);
  ledger.enter(make_frame(1, clock_.now()));
  ledger.settle_inferred(1, {found(.9F)}, variant_);
  ledger.enter(make_frame(2, clock_.now(), true));
  ledger.settle_reused(2);
  EXPECT_EQ(answers_[0].origin, Origin::kNone);
  EXPECT_EQ(answers_[0].drop_reason, DropReason::kLate);
  EXPECT_EQ(answers_[1].origin, Origin::kInferred);
  EXPECT_EQ(answers_[2].origin, Origin::kNone);
  EXPECT_EQ(answers_[2].drop_reason, DropReason::kLate);
}

TEST_F(AnswerLedgerTest, AnAnswerAfterItsDeadlineKeepsItsOriginAndCountsAsOverdue) {
  AnswerLedger& ledger = make();
  ledger.enter(make_frame(0, clock_.now(), true));
  clock_.advance(201ms);
  ledger.settle_inferred(0, {}, variant_);
  EXPECT_EQ(answers_[0].origin, Origin::kInferred);
  EXPECT_FALSE(answers_[0].is_on_time);
  EXPECT_EQ(answers_[0].latency, 201ms);
  EXPECT_EQ(ledger.counts().overdue, 1);
}

TEST_F(AnswerLedgerTest, ClassesAndMasksAreIgnored) {
  LedgerOptions options;
  options.is_class_wanted = {true, false};
  options.mask = {{{0, 0}, {.5F, 0}, {.5F, 1}, {0, 1}}};  // the left half
  AnswerLedger& ledger = make(options);
  ledger.enter(make_frame(0, clock_.now(), true));
  ledger.settle_inferred(0,
                         {found(.9F, {400, 10, 500, 90}), found(.9F, {400, 10, 500, 90}, 1),
                          found(.9F, {10, 10, 90, 90}), found(.9F, {400, 10, 500, 90}, 7)},
                         variant_);
  ASSERT_EQ(answers_[0].detections.size(), 1U);
  EXPECT_EQ(answers_[0].detections[0].class_id, 0);
  EXPECT_EQ(answers_[0].detections[0].box, (Box{400, 10, 500, 90}));
}

TEST_F(AnswerLedgerTest, CountsAreConservedAtEveryStep) {
  AnswerLedger& ledger = make();
  std::mt19937 rng(5);
  std::vector<std::int64_t> open;
  std::int64_t next = 0, sampled_out = 0;
  for (int step = 0; step < 5'000; ++step) {
    const int dice = static_cast<int>(rng() % 6);
    if (dice == 0) {
      ledger.count_sampled_out();
      ++sampled_out;
    } else if (dice <= 2 || open.empty()) {
      open.push_back(next);
      ledger.enter(make_frame(next, clock_.now(), next == 0));
      ++next;
    } else {
      const std::size_t at = rng() % open.size();
      const std::int64_t seq = open[at];
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
      if (dice == 3) ledger.settle_inferred(seq, {found(.6F)}, variant_);
      if (dice == 4) ledger.settle_reused(seq);
      if (dice == 5) ledger.settle_none(seq, DropReason::kSuperseded);
    }
    clock_.advance(1ms);
    const CameraCounts counts = ledger.counts();
    ASSERT_TRUE(counts.is_conserved()) << step;
    ASSERT_EQ(counts.captured, next + sampled_out);
    ASSERT_EQ(counts.in_flight, next - static_cast<std::int64_t>(answers_.size()));
  }
  for (const std::int64_t seq : open) ledger.settle_none(seq, DropReason::kFailed);
  EXPECT_EQ(ledger.counts().in_flight, 0);
  EXPECT_TRUE(ledger.counts().is_conserved());
  std::vector<std::int64_t> want(static_cast<std::size_t>(next));
  std::iota(want.begin(), want.end(), 0);
  EXPECT_EQ(published(), want) << "each sampled frame exactly one line, in order";
}

TEST_F(AnswerLedgerTest, PicturesAreKeptOnlyWhenASnapshotIsDue) {
  LedgerOptions options;
  options.snapshot_every = 1s;
  AnswerLedger& ledger = make(options);
  for (int seq = 0; seq < 25; ++seq) {
    ledger.enter(make_frame(seq, clock_.now(), seq == 0));
    ledger.settle_inferred(seq, {}, variant_);
    clock_.advance(100ms);
  }
  EXPECT_EQ(std::ranges::count_if(answers_, [](const Answer& a) { return a.picture != nullptr; }),
            3);
}

}  // namespace
}  // namespace framemill
