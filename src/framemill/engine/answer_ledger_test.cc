#include "framemill/engine/answer_ledger.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "framemill/core/grey_picture.h"

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

/// Three textured things that move on a still, textured ground; the whole begins anew after 24
/// frames.
class MovingScene {
 public:
  static constexpr std::int64_t kFrames = 24;
  [[nodiscard]] static std::vector<Detection> truth(std::int64_t seq, float score = .9F) {
    const auto s = static_cast<float>(seq % kFrames);
    return {found(score, {60 + 4 * s, 60, 140 + 4 * s, 130}, 0),
            found(score, {300, 80 + 3 * s, 400, 170 + 3 * s}, 1),
            found(score, {500 - 5 * s, 240, 580 - 5 * s, 320}, 2)};
  }
  [[nodiscard]] std::shared_ptr<const Picture> paint(std::int64_t seq) {
    std::shared_ptr<const Picture>& picture = pictures_[static_cast<std::size_t>(seq % kFrames)];
    if (picture == nullptr) picture = draw(truth(seq));
    return picture;
  }

 private:
  static float texture(float look, float x, float y) {
    return 127 + 44 * std::sin(.21F * x + 1.7F * look + 2.1F * std::sin(.047F * y + look)) +
           44 * std::sin(.17F * y + 2.3F * look + 1.9F * std::sin(.033F * x + look));
  }
  static std::shared_ptr<const Picture> draw(const std::vector<Detection>& things) {
    auto bytes = std::make_shared<std::vector<std::uint8_t>>();
    for (int row = 0; row < kPicture.height; ++row) {
      for (int column = 0; column < kPicture.width; ++column) {
        const auto x = static_cast<float>(column);
        const auto y = static_cast<float>(row);
        float luma = texture(0, x, y);
        for (const Detection& thing : things) {
          const Box& b = thing.box;
          if (x < b.x1 || x >= b.x2 || y < b.y1 || y >= b.y2) continue;
          luma = texture(static_cast<float>(thing.class_id) + 5, x - b.x1, y - b.y1);
        }
        bytes->push_back(static_cast<std::uint8_t>(luma));
      }
    }
    Picture picture;
    picture.format = PixelFormat::kGray;
    picture.size = kPicture;
    picture.planes[0] = {bytes->data(), kPicture.width};
    picture.owner = bytes;
    return std::make_shared<const Picture>(picture);
  }
  std::array<std::shared_ptr<const Picture>, kFrames> pictures_;
};

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
  /// 25 frames of 100 ms, a snapshot each second.
  void play_with_snapshots(const std::function<bool(int)>& is_answered) {
    LedgerOptions options;
    options.snapshot_every = 1s;
    AnswerLedger& ledger = make(options);
    for (int seq = 0; seq < 25; ++seq) {
      ledger.enter(make_frame(seq, clock_.now(), seq == 0));
      if (is_answered(seq))
        ledger.settle_inferred(seq, {}, variant_);
      else
        ledger.settle_none(seq, DropReason::kSuperseded);
      clock_.advance(100ms);
    }
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
  ledger.settle_carried(1);
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
  ledger.settle_carried(1);
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
  ledger.settle_carried(0);
  ledger.enter(make_frame(1, clock_.now()));
  ledger.settle_inferred(1, {found(.9F)}, variant_);
  ledger.enter(make_frame(2, clock_.now(), true));
  ledger.settle_carried(2);
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
      if (dice == 4) ledger.settle_carried(seq);
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
  play_with_snapshots([](int) { return true; });
  EXPECT_EQ(std::ranges::count_if(answers_, [](const Answer& a) { return a.picture != nullptr; }),
            3);
}

TEST_F(AnswerLedgerTest, AtPaceFastSnapshotsGoByTheTimeOfTheStream) {
  LedgerOptions options;
  options.snapshot_every = 500ms;
  options.has_latency = false;
  AnswerLedger& ledger = make(options);
  std::vector<std::int64_t> due;
  for (int seq = 0; seq < 25; ++seq) {  // 2.5 s of the stream, and no time at all on the clock
    ledger.enter(make_frame(seq, clock_.now(), seq == 0));
    ledger.settle_inferred(seq, {}, variant_);
    if (answers_.back().is_snapshot_due) due.push_back(seq);
  }
  EXPECT_EQ(due, (std::vector<std::int64_t>{0, 5, 10, 15, 20}));
}

TEST_F(AnswerLedgerTest, ASnapshotThatFallsOnAFrameWithoutAnswerIsTakenOfTheNext) {
  play_with_snapshots([](int seq) { return seq % 10 >= 2; });
  EXPECT_EQ(std::ranges::count_if(
                answers_,
                [](const Answer& a) { return a.is_snapshot_due && a.origin == Origin::kInferred; }),
            3);
}

TEST_F(AnswerLedgerTest, WhatADeviceStillOwesAtTheEndIsLateOnce) {
  AnswerLedger& ledger = make({});
  for (int seq = 0; seq < 4; ++seq) ledger.enter(make_frame(seq, clock_.now(), seq == 0));
  ledger.settle_inferred(1, {}, variant_);
  ledger.close();
  EXPECT_EQ(ledger.counts().in_flight, 0);
  EXPECT_EQ(published(), (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(answers_[0].drop_reason, DropReason::kLate);
  (void)ledger.settle_inferred(0, {}, variant_);  // the batch comes back after all
  ledger.settle_none(2, DropReason::kFailed);
  EXPECT_EQ(answers_.size(), 4U);
  EXPECT_TRUE(ledger.counts().is_conserved());
}

/// A camera of policy adaptive that looks at a scene in motion, of which everything is known.
class AdaptiveLedgerTest : public AnswerLedgerTest {
 protected:
  AnswerLedger& make_adaptive(LedgerOptions options = {}) {
    options.policy = PolicyKind::kAdaptive;
    options.motion = MotionMethod::kFlow;
    return make(options);
  }
  /// The next frame enters.
  void enter(bool is_stream_start = false, bool is_scene_start = false) {
    Frame frame = make_frame(next_, clock_.now(), is_stream_start);
    frame.is_scene_start |= is_scene_start;
    frame.picture = scene_.paint(next_++);
    ledger_->enter(frame, make_motion_frame(*frame.picture, nullptr), 1us);
  }
  void enter_failed() {
    Frame frame = make_frame(next_++, clock_.now());
    frame.picture = nullptr;
    ledger_->enter(frame);
  }
  /// The next frame enters and is answered from the state.
  void carry() {
    enter();
    ledger_->settle_carried(next_ - 1);
  }
  static std::vector<Detection> truth(std::int64_t seq) { return MovingScene::truth(seq); }
  std::optional<Correction> infer(std::int64_t seq) {
    return ledger_->settle_inferred(seq, truth(seq), variant_);
  }
  std::int64_t inferences(InferencePurpose purpose) const {
    return ledger_->counts().inferences[static_cast<std::size_t>(purpose)];
  }
  AgreementCounts agreement(const Answer& answer) const {
    return count_agreement(truth(answer.stamp.seq), answer.detections);
  }

  MovingScene scene_;
  std::int64_t next_ = 0;
};

TEST_F(AdaptiveLedgerTest, AnswersFollowTheObjects) {
  make_adaptive();
  enter(true);
  infer(0);
  for (int i = 0; i < 6; ++i) carry();
  ASSERT_EQ(answers_.size(), 7U);
  EXPECT_EQ(answers_[0].origin, Origin::kInferred);
  for (std::size_t i = 1; i < answers_.size(); ++i) {
    EXPECT_EQ(answers_[i].origin, Origin::kPropagated);
    EXPECT_EQ(answers_[i].source_frame_index, 0);
    EXPECT_EQ(answers_[i].variant, variant_);
    EXPECT_EQ(agreement(answers_[i]).recall(), 1) << "frame " << i;
    EXPECT_NE(answers_[i].detections, answers_[i - 1].detections) << "they move";
    ASSERT_EQ(answers_[i].detections.size(), answers_[0].detections.size());
    for (std::size_t d = 0; d < answers_[i].detections.size(); ++d)
      EXPECT_EQ(answers_[i].detections[d].track, answers_[0].detections[d].track);
  }
  EXPECT_GT(ledger_->counts().motion_cpu, Duration::zero());
}

TEST_F(AnswerLedgerTest, OnlyAdaptiveAnswersMove) {
  MovingScene scene;
  for (const PolicyKind policy : {PolicyKind::kHold, PolicyKind::kSimilarity}) {
    answers_.clear();
    AnswerLedger& ledger = make({.policy = policy});
    for (int seq = 0; seq < 8; ++seq) {
      Frame frame = make_frame(seq, clock_.now(), seq == 0);
      frame.picture = scene.paint(seq);
      ledger.enter(frame, make_motion_frame(*frame.picture, nullptr));
      if (seq == 0) {
        ledger.settle_inferred(0, MovingScene::truth(0), variant_);
      } else {
        ledger.settle_carried(seq);
      }
    }
    ASSERT_EQ(answers_.size(), 8U);
    for (std::size_t i = 1; i < 8; ++i) {
      EXPECT_EQ(answers_[i].origin, Origin::kReused);
      EXPECT_EQ(answers_[i].detections, answers_[0].detections) << to_string(policy) << ' ' << i;
    }
  }
}

TEST_F(AnswerLedgerTest, NoBoxOutlivesAChangeOfThePicturesSize) {
  for (const PolicyKind policy : {PolicyKind::kHold, PolicyKind::kAdaptive}) {
    answers_.clear();
    AnswerLedger& ledger = make({.policy = policy, .motion = MotionMethod::kFlow});
    const Size sizes[] = {{640, 360}, {640, 360}, {320, 180}, {320, 180}};
    for (int seq = 0; seq < 4; ++seq) {
      Frame frame = make_frame(seq, clock_.now(), seq == 0);
      frame.picture = make_grey_picture(sizes[seq], 90);
      ledger.enter(frame, make_motion_frame(*frame.picture, nullptr));
      if (seq == 0) {
        ledger.settle_inferred(seq, {found(.9F, {400, 200, 600, 340})}, variant_);
      } else {
        ledger.settle_carried(seq);
      }
    }
    ASSERT_EQ(answers_.size(), 4U);
    EXPECT_EQ(answers_[1].detections.size(), 1U);
    EXPECT_TRUE(answers_[2].detections.empty()) << to_string(policy);
    EXPECT_TRUE(answers_[3].detections.empty());
    EXPECT_NE(answers_[3].origin, Origin::kNone);
    EXPECT_FALSE(ledger.settle_inferred(1, {found(.9F, {400, 200, 600, 340})}, variant_))
        << "of the old size";
  }
}

TEST_F(AdaptiveLedgerTest, CarryingALateResultOnCountsAsMotion) {
  make_adaptive();
  enter(true);
  infer(0);
  for (int i = 0; i < 5; ++i) carry();
  const Duration before = ledger_->counts().motion_cpu;
  infer(1);
  EXPECT_GT(ledger_->counts().motion_cpu, before);
}

TEST_F(AdaptiveLedgerTest, ALateResultCorrectsTheState) {
  make_adaptive();
  enter(true);
  ledger_->settle_inferred(0, {}, variant_);  // the model overlooks everything
  for (int i = 0; i < 3; ++i) carry();        // frame 1 is at a model, too long
  EXPECT_TRUE(answers_.back().detections.empty());
  const std::optional<Correction> correction = infer(1);
  ASSERT_TRUE(correction);
  EXPECT_TRUE(correction->is_state_changed);
  EXPECT_EQ(correction->doubt.age, 1);
  EXPECT_EQ(correction->counts.wanted, 3);
  EXPECT_EQ(correction->counts.found, 0);
  EXPECT_EQ(answers_.size(), 4U) << "no second line for frame 1";
  carry();
  EXPECT_EQ(answers_.back().origin, Origin::kPropagated);
  EXPECT_EQ(answers_.back().source_frame_index, 3);
  EXPECT_EQ(agreement(answers_.back()).recall(), 1);
  EXPECT_EQ(inferences(InferencePurpose::kPrimary), 2);
  EXPECT_EQ(inferences(InferencePurpose::kDiscarded), 0);
  EXPECT_TRUE(ledger_->counts().is_conserved());
}

TEST_F(AdaptiveLedgerTest, AResultOlderThanTheKeyFrameChangesNoAnswer) {
  make_adaptive();
  enter(true);
  infer(0);
  carry();
  enter();
  infer(2);
  const std::optional<Correction> correction = ledger_->settle_inferred(1, {}, variant_);
  ASSERT_TRUE(correction);
  EXPECT_FALSE(correction->is_state_changed);
  carry();
  EXPECT_EQ(answers_.back().source_frame_index, 6);
  EXPECT_EQ(answers_.back().detections.size(), 3U);
}

TEST_F(AdaptiveLedgerTest, AResultThatComesTooLateIsDiscarded) {
  make_adaptive({.ring_frames = 3});
  enter(true);
  infer(0);
  for (int i = 0; i < 4; ++i) carry();
  EXPECT_FALSE(infer(1));
  EXPECT_EQ(inferences(InferencePurpose::kDiscarded), 1);
  EXPECT_EQ(inferences(InferencePurpose::kPrimary), 1);
  EXPECT_TRUE(infer(2));
  EXPECT_EQ(inferences(InferencePurpose::kPrimary), 2);
  carry();
  EXPECT_EQ(answers_.back().source_frame_index, 6);
}

TEST_F(AdaptiveLedgerTest, AResultFromBeforeACutIsDiscarded) {
  make_adaptive();
  enter(true);
  infer(0);
  carry();
  enter(false, true);
  ledger_->settle_carried(2);
  EXPECT_FALSE(infer(1));
  EXPECT_EQ(inferences(InferencePurpose::kDiscarded), 1);
  carry();
  EXPECT_TRUE(answers_.back().detections.empty()) << "boxes of another scene";
}

TEST_F(AdaptiveLedgerTest, NothingIsCarriedOverAReconnect) {
  make_adaptive();
  enter(true);
  infer(0);
  carry();
  enter(true);
  ledger_->settle_carried(2);
  EXPECT_EQ(answers_.back().origin, Origin::kNone);
  EXPECT_EQ(answers_.back().drop_reason, DropReason::kLate);
  EXPECT_FALSE(infer(1)) << "from before it";
  carry();
  EXPECT_EQ(answers_.back().drop_reason, DropReason::kLate);
  EXPECT_TRUE(infer(2));
  carry();
  EXPECT_EQ(answers_.back().origin, Origin::kPropagated);
  EXPECT_EQ(answers_.back().source_frame_index, 6);
}

TEST_F(AdaptiveLedgerTest, AFirstResultThatComesLateEndsTheWait) {
  make_adaptive();
  enter(true);
  ledger_->settle_carried(0);
  EXPECT_EQ(answers_.back().drop_reason, DropReason::kLate);
  infer(0);
  carry();
  EXPECT_EQ(answers_.back().origin, Origin::kPropagated);
  EXPECT_EQ(agreement(answers_.back()).recall(), 1);
}

TEST_F(AdaptiveLedgerTest, FramesThatFailedKeepTheObjects) {
  make_adaptive();
  enter(true);
  infer(0);
  enter_failed();
  ledger_->settle_none(1, DropReason::kFailed);
  EXPECT_EQ(answers_.back().origin, Origin::kNone);
  EXPECT_TRUE(answers_.back().detections.empty());
  carry();
  EXPECT_EQ(answers_.back().origin, Origin::kPropagated);
  EXPECT_EQ(agreement(answers_.back()).recall(), 1);
  EXPECT_TRUE(ledger_->counts().is_conserved());
}

TEST_F(AdaptiveLedgerTest, AFrameCanBeLookedAtOnceAllBeforeItAreSettled) {
  make_adaptive();
  enter(true);
  const std::optional<FrameOutlook> first = ledger_->look(0);
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->has_key);
  enter();
  EXPECT_FALSE(ledger_->look(1)) << "frame 0 is at the model";
  infer(0);
  for (int again = 0; again < 3; ++again) {
    const std::optional<FrameOutlook> outlook = ledger_->look(1);
    ASSERT_TRUE(outlook);
    EXPECT_TRUE(outlook->has_key);
    EXPECT_EQ(outlook->doubt.age, 1) << "looking ages nothing";
  }
  ledger_->settle_carried(1);
  EXPECT_FALSE(ledger_->look(1)) << "it is settled";
  EXPECT_FALSE(ledger_->look(0));
  carry();
  enter();
  EXPECT_EQ(ledger_->look(3)->doubt.age, 3);
}

TEST_F(AdaptiveLedgerTest, ACarriedFrameIsSettledOnce) {
  make_adaptive();
  enter(true);
  infer(0);
  ledger_->settle_carried(0);
  carry();
  ledger_->settle_carried(1);
  EXPECT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[0].origin, Origin::kInferred);
  EXPECT_TRUE(ledger_->counts().is_conserved());
}

TEST_F(AdaptiveLedgerTest, SimilarityIsToTheLastFrameThatWasSent) {
  make({.policy = PolicyKind::kSimilarity});
  enter(true);
  EXPECT_EQ(ledger_->similarity(0), 0);
  ledger_->note_sent(0);
  EXPECT_EQ(ledger_->similarity(0), 1);
  infer(0);
  double last = 1;
  for (std::int64_t seq = 1; seq <= 3; ++seq) {
    enter();
    EXPECT_LT(ledger_->similarity(seq), last) << "objects move on";
    last = ledger_->similarity(seq);
    EXPECT_GT(last, .5);
    ledger_->settle_carried(seq);
  }
  enter_failed();
  EXPECT_EQ(ledger_->similarity(4), 0);
}

TEST_F(AdaptiveLedgerTest, ComplexityIsTheVarianceOfLuma) {
  make({.policy = PolicyKind::kSimilarity});
  Frame wall;
  wall.stamp.captured_mono = clock_.now();
  wall.picture = make_grey_picture({64, 64}, 90);
  ledger_->enter(wall, make_motion_frame(*wall.picture, nullptr));
  EXPECT_EQ(ledger_->complexity(0), 0);
  ledger_->settle_none(0, DropReason::kLate);
  // The left half at 90, the right one at 190: each is 50 from the mean.
  wall.stamp.seq = wall.stamp.frame_index = 1;
  auto motion = std::make_shared<MotionFrame>(*make_motion_frame(*wall.picture, nullptr));
  Thumbnail& luma = motion->luma.front();
  const auto width = static_cast<std::size_t>(luma.size.width);
  for (std::size_t i = 0; i < luma.luma.size(); ++i)
    luma.luma[i] = i % width < width / 2 ? 90 : 190;
  ledger_->enter(wall, motion);
  EXPECT_NEAR(ledger_->complexity(1), 50 * 50 / 255.0, 1e-9);
  ledger_->settle_none(1, DropReason::kLate);
  wall.stamp.seq = wall.stamp.frame_index = 2;
  ledger_->enter(wall);
  EXPECT_EQ(ledger_->complexity(2), 0) << "of which there is no thumbnail";
}

TEST_F(AdaptiveLedgerTest, AnAuditSaysHowGoodTheAnswerWas) {
  make_adaptive();
  enter(true);
  infer(0);
  enter();
  ledger_->settle_carried(1, true);
  for (int i = 0; i < 3; ++i) carry();
  const auto counts = ledger_->settle_audit(1, truth(1));
  ASSERT_TRUE(counts);
  EXPECT_EQ(*counts, count_agreement(truth(1), answers_[1].detections));
  EXPECT_EQ(counts->wanted, 3);
  EXPECT_EQ(inferences(InferencePurpose::kAudit), 1);
  EXPECT_EQ(inferences(InferencePurpose::kPrimary), 1);
  EXPECT_EQ(ledger_->counts().outcomes[static_cast<std::size_t>(Outcome::kInferred)], 1);
  carry();
  EXPECT_EQ(answers_.back().source_frame_index, 3) << "what it found is not thrown away";
  EXPECT_FALSE(ledger_->settle_audit(1, truth(1))) << "once";
}

TEST_F(AdaptiveLedgerTest, AnAuditJudgesWhatWasPublished) {
  LedgerOptions options;
  options.score = .45F;
  options.is_class_wanted = {true, false, true};
  make_adaptive(options);
  enter(true);
  std::vector<Detection> weak = truth(0);
  weak[0].score = .4F;  // carried, but not published
  ledger_->settle_inferred(0, weak, variant_);
  enter();
  ledger_->settle_carried(1, true);
  ASSERT_EQ(answers_.back().detections.size(), 1U);
  const auto counts = ledger_->settle_audit(1, truth(1));
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->wanted, 2) << "class 1 is not asked for";
  EXPECT_EQ(counts->found, 1) << "whoever reads the answer misses the weak one";
  EXPECT_EQ(counts->given, 1);
}

TEST_F(AdaptiveLedgerTest, AuditsThatDoNotHappenOrHaveNothingToJudge) {
  make_adaptive();
  enter(true);
  ledger_->settle_carried(0, true);  // late: nothing is known
  EXPECT_FALSE(ledger_->settle_audit(0, truth(0)));
  enter();
  infer(1);
  enter();
  ledger_->settle_carried(2, true);
  ledger_->drop_audit(2);
  EXPECT_FALSE(ledger_->settle_audit(2, truth(2)));
  ledger_->drop_audit(2);
  ledger_->drop_audit(77);
  // Its scene has ended meanwhile: it still tells how good the answer was, and changes nothing.
  enter();
  ledger_->settle_carried(3, true);
  enter(false, true);
  infer(4);
  EXPECT_TRUE(ledger_->settle_audit(3, {}));
  carry();
  EXPECT_EQ(answers_.back().source_frame_index, 12);
  EXPECT_TRUE(ledger_->counts().is_conserved());
}

TEST_F(AdaptiveLedgerTest, CountsAreConservedWhateverComesBackWhen) {
  make_adaptive({.ring_frames = 4});
  std::mt19937 rng(9);
  std::vector<std::int64_t> at_model;
  std::vector<std::int64_t> audited;
  std::int64_t asked = 0;
  enter(true);
  at_model.push_back(0);
  for (int step = 0; step < 1'500; ++step) {
    const auto dice = rng() % 8;
    if (dice <= 3) {
      if (dice == 3 && rng() % 4 == 0) {
        enter_failed();
        ledger_->settle_none(next_ - 1, DropReason::kFailed);
      } else {
        enter(rng() % 60 == 0, rng() % 30 == 0);
        if (dice == 0) at_model.push_back(next_ - 1);
        if (dice == 1) audited.push_back(next_ - 1);
        if (dice != 0) ledger_->settle_carried(next_ - 1, dice == 1);
      }
    } else if (dice <= 5 && !at_model.empty()) {
      const std::int64_t seq = at_model.front();
      if (rng() % 2 == 0) ledger_->settle_carried(seq);
      ++asked;
      (void)infer(seq);
      at_model.erase(at_model.begin());
    } else if (dice == 6 && !audited.empty()) {
      ++asked;
      (void)ledger_->settle_audit(audited.front(), truth(audited.front()));
      audited.erase(audited.begin());
    } else if (dice == 7 && !at_model.empty()) {
      ledger_->settle_carried(at_model.back());
    }
    const CameraCounts counts = ledger_->counts();
    ASSERT_TRUE(counts.is_conserved()) << step;
    ASSERT_EQ(counts.captured, next_);
    ASSERT_EQ(std::accumulate(counts.inferences.begin(), counts.inferences.end(), std::int64_t{0}),
              asked);
  }
  for (const std::int64_t seq : at_model) (void)infer(seq);
  EXPECT_EQ(ledger_->counts().in_flight, 0);
  std::vector<std::int64_t> want(static_cast<std::size_t>(next_));
  std::iota(want.begin(), want.end(), 0);
  EXPECT_EQ(published(), want);
}

TEST(AnswerLedger, CarriesAPictureOnceItIsWanted) {
  ManualClock clock;
  LedgerOptions options;
  options.model = "m";
  std::vector<Answer> answers;
  AnswerLedger ledger(options, clock, [&](Answer&& answer) { answers.push_back(answer); });
  for (std::int64_t seq = 0; seq < 3; ++seq) {
    if (seq == 1) ledger.want_picture();
    ledger.enter(make_frame(seq, clock.now(), seq == 0));
    ledger.settle_inferred(seq, {found(.9F)}, nullptr);
  }
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_FALSE(answers[0].picture);
  EXPECT_TRUE(answers[1].picture);
  EXPECT_FALSE(answers[1].is_snapshot_due) << "no sink draws it";
  EXPECT_FALSE(answers[2].picture);
}

TEST(AnswerLedger, RetiresOnceNothingIsInFlightAndGoesOnFromAnySeq) {
  ManualClock clock;
  LedgerOptions options;
  options.model = "m";
  options.policy = PolicyKind::kAdaptive;
  options.first_seq = 40;
  std::vector<Answer> answers;
  AnswerLedger ledger(options, clock, [&](Answer&& answer) { answers.push_back(answer); });
  ledger.enter(make_frame(40, clock.now(), true));
  ledger.enter(make_frame(41, clock.now()));
  EXPECT_EQ(ledger.retire(), nullptr);
  ledger.settle_inferred(40, {found(.9F)}, nullptr);
  ledger.settle_carried(41);
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[1].stamp.seq, 41);
  EXPECT_EQ(answers[1].origin, Origin::kPropagated);
  const std::unique_ptr<CameraCounts> counts = ledger.retire();
  ASSERT_NE(counts, nullptr);
  EXPECT_EQ(counts->captured, 2);
  EXPECT_TRUE(counts->is_conserved());
  EXPECT_EQ(ledger.counts().captured, 0);
  // What still comes of it is dropped.
  EXPECT_FALSE(ledger.settle_inferred(41, {found(.9F)}, nullptr));
  EXPECT_FALSE(ledger.settle_audit(41, {found(.9F)}));
}

}  // namespace
}  // namespace framemill
