// Ladders: which models may form one, and that cameras move on it without losing a frame.
#include "framemill/engine/model_ladder.h"

#include <memory>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/core/grey_picture.h"
#include "framemill/engine/live_scheduler.h"
#include "framemill/infer/fake_backend.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<Detector> fake_detector(int classes, std::vector<std::string> labels = {},
                                        std::shared_ptr<FakeBackendControl> control = nullptr) {
  if (control == nullptr) control = std::make_shared<FakeBackendControl>();
  DetectorOptions options;
  if (!labels.empty()) options.labels = std::move(labels);
  Result<std::unique_ptr<Detector>> detector = Detector::create(
      create_fake_backend({.input = {64, 64}, .class_count = classes}, std::move(control)),
      options);
  CHECK(detector.has_value());
  return std::move(*detector);
}

TEST(CheckSameClasses, RefusesOtherLabelsAndNamesBothModels) {
  const auto top = fake_detector(2, {"person", "car"});
  EXPECT_TRUE(check_same_classes(*top, *fake_detector(2, {"person", "car"})));
  const Result<void> swapped = check_same_classes(*top, *fake_detector(2, {"car", "person"}));
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(swapped.error().message(), HasSubstr(top->facts().path));
  EXPECT_THAT(swapped.error().message(), HasSubstr("class 0 is \"car\" instead of \"person\""));
  const Result<void> fewer = check_same_classes(*top, *fake_detector(1, {"person"}));
  ASSERT_FALSE(fewer);
  EXPECT_THAT(fewer.error().message(), HasSubstr("1 instead of 2"));
}

TEST(FindCheaperRungs, KeepsTheFirstAndWhatIsCheaperThanTheOneAbove) {
  const auto kept = [](std::vector<Duration> costs) { return find_cheaper_rungs(costs); };
  EXPECT_THAT(kept({20ms}), ElementsAre(0));
  EXPECT_THAT(kept({20ms, 10ms, 5ms}), ElementsAre(0, 1, 2));
  EXPECT_THAT(kept({20ms, 25ms, 5ms}), ElementsAre(0, 2));
  EXPECT_THAT(kept({20ms, 20ms}), ElementsAre(0));
  EXPECT_THAT(kept({20ms, 0ms}), ElementsAre(0));  // not measured
}

/// Cameras at one model of two rungs of 20 and 5 ms, as far as the scheduler knows.
class LadderWorld {
 public:
  LadderWorld(std::size_t cameras, PolicyKind policy) {
    std::vector<std::shared_ptr<const Detector>> detectors;
    detectors.push_back(fake_detector(1, {}, control_));
    detectors.push_back(fake_detector(1, {}, cheap_control_));
    pool_ = std::make_unique<DevicePool>(std::move(detectors), clock_);
    for (std::size_t i = 0; i < cameras; ++i) {
      LedgerOptions options;
      options.camera = static_cast<CameraIndex>(i);
      options.model = "m";
      options.policy = policy;
      options.slo = 1h;
      ledgers_.push_back(std::make_unique<AnswerLedger>(options, clock_, [this](Answer&& answer) {
        const std::lock_guard lock(mu_);
        answers_.push_back(std::move(answer));
      }));
      options_.cameras.push_back(
          {.ledger = ledgers_.back().get(), .policy = policy, .slo = options.slo});
    }
    options_.ladders = {{0, 1}};
    std::vector<ServiceTimes>& times = options_.devices.emplace_back().lane_times;
    times.resize(2);
    times[pool_->lane_for(0, {32, 32})].seed(1, 20ms);
    times[pool_->lane_for(1, {32, 32})].seed(1, 5ms);
    scheduler_ = std::make_unique<LiveScheduler>(options_, *pool_, clock_);
    seqs_.resize(cameras, 0);
  }

  /// One frame of each camera; time moves on by `period`.
  void offer_all(Duration period) {
    clock_.advance(period);
    for (std::size_t i = 0; i < ledgers_.size(); ++i) {
      Frame frame;
      frame.stamp.seq = frame.stamp.frame_index = seqs_[i]++;
      frame.stamp.pts_s = to_seconds(clock_.now().time_since_epoch());
      frame.stamp.captured_mono = clock_.now();
      frame.picture = picture_;
      frame.is_stream_start = frame.is_scene_start = frame.stamp.seq == 0;
      ledgers_[i]->enter(frame);
      scheduler_->offer(static_cast<CameraIndex>(i), std::move(frame));
    }
    std::this_thread::sleep_for(1ms);  // lets the scheduler look; the outcome does not need it
  }

  ManualClock clock_;
  const std::shared_ptr<const Picture> picture_ = make_grey_picture({32, 32}, 200);
  std::shared_ptr<FakeBackendControl> control_ = std::make_shared<FakeBackendControl>();
  std::shared_ptr<FakeBackendControl> cheap_control_ = std::make_shared<FakeBackendControl>();
  FrameSchedulerOptions options_;
  std::vector<std::unique_ptr<AnswerLedger>> ledgers_;
  std::vector<std::int64_t> seqs_;
  std::mutex mu_;
  std::vector<Answer> answers_;  // guarded by mu_
  std::unique_ptr<DevicePool> pool_;
  std::unique_ptr<LiveScheduler> scheduler_;  // last: it uses all of them
};

TEST(LiveLadder, ALoadStepMovesCamerasDownAndBackAndLosesNoFrame) {
  constexpr std::size_t kCameras = 8;
  LadderWorld world(kCameras, PolicyKind::kFull);
  const auto cheaper = [&] {
    const std::vector<RungStatus> rungs = world.scheduler_->status().rungs;
    return std::ranges::count_if(rungs, [](const RungStatus& r) { return r.rung > 0; });
  };
  world.control_->hang = true;  // until the step is over, so that no service time is learned
  // 8 cameras x 2/s x 20 ms: a third of the device.
  for (int i = 0; i < 10; ++i) world.offer_all(500ms);
  EXPECT_EQ(cheaper(), 0);
  // 8 cameras x 20/s x 20 ms: over three devices' worth, at 5 ms still less than one.
  int steps = 0;
  while (cheaper() == 0 && steps < 2000) {
    world.offer_all(50ms);
    ++steps;
  }
  EXPECT_EQ(cheaper(), static_cast<std::ptrdiff_t>(kCameras));
  EXPECT_GE(steps, 20);  // two windows of 500 ms
  world.control_->hang = false;
  for (int i = 0; i < 20; ++i) world.offer_all(50ms);
  for (int i = 0; i < 2000 && cheaper() > 0; ++i) world.offer_all(500ms);
  EXPECT_EQ(cheaper(), 0);
  for (int i = 0; i < 5; ++i) world.offer_all(500ms);  // frames under way keep their rung
  for (const RungStatus& rung : world.scheduler_->status().rungs) EXPECT_EQ(rung.changes, 2);
  for (CameraIndex i = 0; i < kCameras; ++i) world.scheduler_->end_camera(i);
  world.scheduler_->stop(10s);
  ASSERT_TRUE(world.pool_->stop(10s));

  std::int64_t offered = 0;
  for (std::size_t i = 0; i < kCameras; ++i) {
    const CameraCounts counts = world.ledgers_[i]->counts();
    EXPECT_TRUE(counts.is_conserved());
    EXPECT_EQ(counts.in_flight, 0);
    offered += world.seqs_[i];
  }
  const std::lock_guard lock(world.mu_);
  EXPECT_EQ(static_cast<std::int64_t>(world.answers_.size()), offered);
  EXPECT_TRUE(std::ranges::any_of(world.answers_, [](const Answer& a) {
    return a.origin == Origin::kInferred && a.rung == 1;
  }));
  for (const Answer& answer : world.answers_) {
    if (answer.origin != Origin::kInferred) continue;
    if (answer.stamp.seq + 5 >= offered / static_cast<std::int64_t>(kCameras)) {
      EXPECT_EQ(answer.rung, 0U) << "camera " << answer.camera << " frame " << answer.stamp.seq;
    }
  }
}

TEST(AnswerLedger, AnAuditOfACheaperRungComparesWhatItPublished) {
  ManualClock clock;
  LedgerOptions options;
  options.model = "m";
  options.policy = PolicyKind::kAdaptive;
  options.slo = 1s;
  std::vector<Answer> answers;
  AnswerLedger ledger(options, clock, [&](Answer&& answer) { answers.push_back(answer); });
  Frame frame;
  frame.is_stream_start = frame.is_scene_start = true;
  frame.picture = make_grey_picture({32, 32}, 200);
  ledger.enter(frame);
  const Detection found{.class_id = 0, .score = .9F, .box = {2, 2, 12, 12}};
  const Detection missed{.class_id = 0, .score = .8F, .box = {18, 18, 30, 30}};
  const auto cheap = std::make_shared<const std::string>("cheap");
  ledger.settle_inferred(0, {found}, cheap, InferencePurpose::kPrimary, 1, true);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].rung, 1U);
  const std::optional<AgreementCounts> counts =
      ledger.settle_audit(0, {found, missed}, std::make_shared<const std::string>("top"));
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->wanted, 2);
  EXPECT_EQ(counts->found, 1);
  EXPECT_EQ(counts->sure_right, 1);
}

}  // namespace
}  // namespace framemill
