// Both schedulers over a backend with exact service times: whatever happens, each offered frame is
// settled exactly once, and the counts say how.
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/engine/live_scheduler.h"
#include "framemill/engine/tick_scheduler.h"
#include "framemill/infer/fake_backend.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<const Picture> grey_picture() {
  static constexpr Size kSize{32, 32};
  auto samples = std::make_shared<std::vector<std::uint8_t>>(32 * 32, 200);
  Picture picture;
  picture.format = PixelFormat::kGray;
  picture.size = kSize;
  picture.planes[0] = {samples->data(), kSize.width};
  picture.owner = samples;
  return std::make_shared<const Picture>(picture);
}

/// Cameras, ledgers and a pool over a FakeBackend; records the answers.
class World {
 public:
  World(std::size_t cameras, PolicyKind policy, FakeBackendOptions backend,
        Duration slo = std::chrono::seconds(10), bool is_live = true)
      : control_(std::make_shared<FakeBackendControl>()) {
    backend.input = {64, 64};
    Result<std::unique_ptr<Detector>> detector =
        Detector::create(create_fake_backend(backend, control_), {});
    CHECK(detector.has_value());
    std::vector<std::unique_ptr<Detector>> detectors;
    detectors.push_back(std::move(*detector));
    pool_ = std::make_unique<DetectorPool>(std::move(detectors), backend.parallel_requests, clock_);
    for (std::size_t i = 0; i < cameras; ++i) {
      LedgerOptions options;
      options.camera = static_cast<CameraIndex>(i);
      options.model = "m";
      options.slo = slo;
      options.has_latency = is_live;
      ledgers_.push_back(std::make_unique<AnswerLedger>(options, clock_, [this](Answer&& answer) {
        const std::lock_guard lock(mu_);
        answers_.push_back(std::move(answer));
      }));
      options_.cameras.push_back({.ledger = ledgers_.back().get(), .policy = policy, .slo = slo});
    }
    seqs_.resize(cameras, 0);
  }

  Frame next_frame(CameraIndex camera, double pts_s) {
    Frame frame;
    frame.stamp.seq = seqs_[camera]++;
    frame.stamp.frame_index = frame.stamp.seq;
    frame.stamp.pts_s = pts_s;
    frame.stamp.captured_mono = clock_.now();
    frame.picture = picture_;
    frame.is_stream_start = frame.is_scene_start = frame.stamp.seq == 0;
    ledgers_[camera]->enter(frame);
    return frame;
  }

  CameraCounts total() const {
    CameraCounts total;
    for (const auto& ledger : ledgers_) total.merge(ledger->counts());
    return total;
  }
  static std::int64_t of(const CameraCounts& counts, Outcome outcome) {
    return counts.outcomes[static_cast<std::size_t>(outcome)];
  }

  const SystemClock clock_;
  const std::shared_ptr<const Picture> picture_ = grey_picture();
  std::shared_ptr<FakeBackendControl> control_;
  FrameSchedulerOptions options_;
  std::vector<std::unique_ptr<AnswerLedger>> ledgers_;
  std::vector<std::int64_t> seqs_;
  std::mutex mu_;
  std::vector<Answer> answers_;         // guarded by mu_
  std::unique_ptr<DetectorPool> pool_;  // last: its threads use the ledgers
};

TEST(TickScheduler, AnswersEverythingWithSeveralCamerasOfDifferentRates) {
  World world(3, PolicyKind::kFull, {.parallel_requests = 2, .fixed = 200us}, 1s, false);
  TickScheduler scheduler(world.options_, *world.pool_);
  std::vector<std::thread> cameras;
  for (CameraIndex camera = 0; camera < 3; ++camera) {
    cameras.emplace_back([&, camera] {
      for (int i = 0; i < 40 * static_cast<int>(camera + 1); ++i) {
        scheduler.offer(camera, world.next_frame(camera, i * 0.1 / (camera + 1)));
      }
      scheduler.end_camera(camera);
    });
  }
  for (std::thread& camera : cameras) camera.join();
  scheduler.wait_until_done();
  const CameraCounts total = world.total();
  EXPECT_EQ(World::of(total, Outcome::kInferred), 40 + 80 + 120);
  EXPECT_TRUE(total.is_conserved());
  EXPECT_EQ(total.in_flight, 0);
}

TEST(TickScheduler, HoldInfersEachNthOfACameraWhateverTheOthersDo) {
  World world(2, PolicyKind::kHold, {.parallel_requests = 2}, 1s, false);
  world.options_.inference_share = 0.25;
  TickScheduler scheduler(world.options_, *world.pool_);
  std::vector<std::thread> cameras;
  for (CameraIndex camera = 0; camera < 2; ++camera) {
    cameras.emplace_back([&, camera] {
      for (int i = 0; i < 100; ++i) scheduler.offer(camera, world.next_frame(camera, i * 0.04));
      scheduler.end_camera(camera);
    });
  }
  for (std::thread& camera : cameras) camera.join();
  scheduler.wait_until_done();
  for (const auto& ledger : world.ledgers_) {
    EXPECT_EQ(World::of(ledger->counts(), Outcome::kInferred), 25);
    EXPECT_EQ(World::of(ledger->counts(), Outcome::kReused), 75);
  }
}

TEST(TickScheduler, StopSettlesWhatWaitsAndLetsGoOfBlockedCameras) {
  World world(2, PolicyKind::kFull, {}, 1s, false);
  world.control_->hang = true;
  TickScheduler scheduler(world.options_, *world.pool_);
  std::vector<std::future<void>> cameras;
  for (CameraIndex camera = 0; camera < 2; ++camera) {
    cameras.push_back(std::async(std::launch::async, [&, camera] {
      for (int i = 0; i < 50; ++i) scheduler.offer(camera, world.next_frame(camera, i * 0.1));
      scheduler.end_camera(camera);
    }));
  }
  scheduler.stop(20ms);
  for (std::future<void>& camera : cameras) camera.get();
  world.control_->hang = false;
  EXPECT_TRUE(world.pool_->stop(10s));
  const CameraCounts total = world.total();
  EXPECT_EQ(total.captured, 100);
  EXPECT_TRUE(total.is_conserved());
  EXPECT_EQ(total.in_flight, 0);
  EXPECT_GT(World::of(total, Outcome::kLate), 0);
}

TEST(LiveScheduler, UnderLoadTheNewestFrameWinsAndEachFrameIsSettledOnce) {
  World world(4, PolicyKind::kFull, {.parallel_requests = 2, .fixed = 2ms});
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (int i = 0; i < 200; ++i) {
    for (CameraIndex camera = 0; camera < 4; ++camera) {
      scheduler.offer(camera, world.next_frame(camera, i * 0.1));
    }
  }
  for (CameraIndex camera = 0; camera < 4; ++camera) scheduler.end_camera(camera);
  scheduler.wait_until_done();
  scheduler.stop(1s);
  const CameraCounts total = world.total();
  EXPECT_EQ(total.captured, 800);
  EXPECT_TRUE(total.is_conserved());
  EXPECT_EQ(total.in_flight, 0);
  EXPECT_EQ(World::of(total, Outcome::kInferred) + World::of(total, Outcome::kSuperseded), 800);
  EXPECT_LE(world.control_->in_flight_peak, 2);
  for (const auto& ledger : world.ledgers_) {
    EXPECT_GE(World::of(ledger->counts(), Outcome::kInferred), 1) << "no camera starves";
  }
}

TEST(LiveScheduler, HoldAnswersFromTheLastBoxesInsteadOfSuperseding) {
  World world(2, PolicyKind::kHold, {.parallel_requests = 1, .fixed = 2ms});
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (int i = 0; i < 100; ++i) {
    for (CameraIndex camera = 0; camera < 2; ++camera) {
      scheduler.offer(camera, world.next_frame(camera, i * 0.1));
    }
  }
  for (CameraIndex camera = 0; camera < 2; ++camera) scheduler.end_camera(camera);
  scheduler.wait_until_done();
  const CameraCounts total = world.total();
  EXPECT_TRUE(total.is_conserved());
  EXPECT_EQ(World::of(total, Outcome::kSuperseded), 0);
  EXPECT_EQ(World::of(total, Outcome::kInferred) + World::of(total, Outcome::kReused) +
                World::of(total, Outcome::kLate),
            200);
}

TEST(LiveScheduler, AFailingBackendCostsTheFrameNotTheCamera) {
  for (const PolicyKind policy : {PolicyKind::kFull, PolicyKind::kHold}) {
    World world(1, policy, {});
    LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
    const auto offer_one = [&](double pts_s) {
      const std::int64_t before = world.total().in_flight;
      ASSERT_EQ(before, 0);
      scheduler.offer(0, world.next_frame(0, pts_s));
      while (world.total().in_flight > 0) std::this_thread::yield();
    };
    offer_one(0.0);
    world.control_->fail_all = true;
    offer_one(0.1);
    world.control_->fail_all = false;
    offer_one(0.2);
    const CameraCounts total = world.total();
    EXPECT_EQ(World::of(total, Outcome::kInferred), 2);
    EXPECT_EQ(World::of(total, policy == PolicyKind::kFull ? Outcome::kFailed : Outcome::kReused),
              1);
  }
}

TEST(LiveScheduler, StopDoesNotWaitForAHangingDevice) {
  World world(3, PolicyKind::kFull, {});
  world.control_->hang = true;
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (CameraIndex camera = 0; camera < 3; ++camera) {
    scheduler.offer(camera, world.next_frame(camera, 0));
    scheduler.offer(camera, world.next_frame(camera, 0.1));
  }
  scheduler.stop(20ms);
  EXPECT_FALSE(world.pool_->stop(20ms));
  EXPECT_TRUE(world.total().is_conserved());
  world.control_->hang = false;
  EXPECT_TRUE(world.pool_->stop(10s));
  EXPECT_EQ(world.total().in_flight, 0);
}

}  // namespace
}  // namespace framemill
