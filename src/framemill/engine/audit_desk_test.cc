// What becomes of drawn audits: whose answers they are drawn from, when they may run, and that each
// is in a figure or counted as lost.

#include "framemill/engine/audit_desk.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/core/grey_picture.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

/// Cameras of policy adaptive, and one of policy full, at 10 frames/s.
class AuditDeskTest : public testing::Test {
 protected:
  static constexpr CameraIndex kFull = 0;
  static constexpr CameraIndex kAdaptive = 1;

  void make(const AuditOptions& options_of_audits) {
    std::vector<AuditDesk::Camera> cameras;
    for (const PolicyKind policy : {PolicyKind::kFull, PolicyKind::kAdaptive}) {
      LedgerOptions options;
      options.camera = static_cast<CameraIndex>(ledgers_.size());
      options.policy = policy;
      options.slo = 200ms;
      ledgers_.push_back(std::make_unique<AnswerLedger>(
          options, clock_, [this](Answer&& answer) { desk_->count_answer(answer); }));
      cameras.push_back({.ledger = ledgers_.back().get(), .policy = policy});
    }
    desk_ = std::make_unique<AuditDesk>(cameras, options_of_audits);
  }
  AnswerLedger& ledger() { return *ledgers_[kAdaptive]; }
  /// The next frame of the adaptive camera.
  void enter() {
    Frame frame;
    frame.stamp.seq = frame.stamp.frame_index = ++seq_;
    frame.stamp.captured_mono = clock_.now();
    frame.is_stream_start = frame.is_scene_start = seq_ == 0;
    frame.picture = picture_;
    ledger().enter(frame);
  }
  void infer(std::int64_t seq) {
    desk_->count_inference(kAdaptive);
    ledger().settle_inferred(seq, things_, nullptr);
  }
  void carry(std::int64_t seq) {
    desk_->settle_carried(0, {.camera = kAdaptive, .seq = seq, .picture = picture_}, clock_.now());
  }
  /// The audit that has waited longest runs; false: there is none that could.
  bool run_audit() {
    auto audit = desk_->take();
    if (!audit) return false;
    desk_->settle(std::move(audit->second), things_);
    return true;
  }
  std::int64_t audits() const {
    return ledgers_[kAdaptive]
        ->counts()
        .inferences[static_cast<std::size_t>(InferencePurpose::kAudit)];
  }

  static constexpr AuditOptions kAll{.share = .5, .first_share_inferred = .5};  ///< at first

  ManualClock clock_;
  const std::shared_ptr<const Picture> picture_ = make_grey_picture({64, 64}, 90);
  const std::vector<Detection> things_{{.score = .9F, .box = {10, 10, 50, 50}}};
  std::vector<std::unique_ptr<AnswerLedger>> ledgers_;
  std::unique_ptr<AuditDesk> desk_;
  std::int64_t seq_ = -1;
};

TEST_F(AuditDeskTest, InferencesOfOtherPoliciesDrawNoAudits) {
  make({.share = .05});
  int inferred = 0;
  for (int i = 0; i < 4000; ++i) {
    desk_->tick(clock_.now());
    for (int other = 0; other < 49; ++other) desk_->count_inference(kFull);
    enter();
    if (i % 10 == 0) {
      infer(seq_);
      ++inferred;
    } else {
      carry(seq_);
    }
    (void)run_audit();
    clock_.advance(100ms);
  }
  EXPECT_NEAR(static_cast<double>(audits()), .05 / .95 * inferred, 12) << "of " << inferred;
}

TEST_F(AuditDeskTest, AnAuditWaitsUntilItsAnswerIsPublished) {
  make(kAll);
  for (int i = 0; i < 3; ++i) enter();
  infer(0);
  carry(2);  // behind frame 1, which is at the model
  clock_.advance(1500ms);
  EXPECT_EQ(desk_->waiting(), 0U);
  EXPECT_EQ(desk_->urgency(clock_.now()), AuditDesk::Urgency::kNone);
  EXPECT_FALSE(run_audit());
  infer(1);
  EXPECT_EQ(desk_->urgency(clock_.now()), AuditDesk::Urgency::kDue);
  EXPECT_TRUE(run_audit());
  EXPECT_EQ(desk_->total().audits, 1);
}

TEST_F(AuditDeskTest, AnAuditThatIsLostBeforeItsAnswerIsThereIsCounted) {
  make(kAll);
  for (int i = 0; i < 3; ++i) enter();
  infer(0);
  carry(2);
  clock_.advance(3s);
  desk_->tick(clock_.now());
  infer(1);
  EXPECT_FALSE(run_audit());
  EXPECT_EQ(desk_->total().state, FidelityState::kAuditsLost);
}

TEST_F(AuditDeskTest, WhatHasNoAnswerIsNotAudited) {
  make(kAll);
  enter();
  carry(0);  // nothing is known: late
  EXPECT_FALSE(run_audit());
  EXPECT_EQ(audits(), 0);
  EXPECT_EQ(desk_->total().state, FidelityState::kKnown) << "nothing was lost either";
}

}  // namespace
}  // namespace framemill
