// Both schedulers over a backend with exact service times: whatever happens, each offered frame is
// settled exactly once, and the counts say how.
#include <algorithm>
#include <functional>
#include <future>
#include <memory>
#include <numeric>
#include <ostream>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/core/grey_picture.h"
#include "framemill/engine/live_scheduler.h"
#include "framemill/engine/tick_scheduler.h"
#include "framemill/infer/fake_backend.h"
#include "framemill/video/synthetic_source.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

const std::shared_ptr<const Picture>& grey_picture() {
  static const std::shared_ptr<const Picture> picture = make_grey_picture({32, 32}, 200);
  return picture;
}

/// Cameras, ledgers and a pool over a FakeBackend; records the answers. Cameras of the policies
/// adaptive and similarity see moving scenes, the others a grey wall.
class World {
 public:
  World(std::size_t cameras, PolicyKind policy, FakeBackendOptions backend,
        Duration slo = std::chrono::seconds(10), bool is_live = true)
      : control_(std::make_shared<FakeBackendControl>()) {
    const bool is_scene = policy == PolicyKind::kAdaptive || policy == PolicyKind::kSimilarity;
    backend.input = is_scene ? Size{160, 96} : Size{64, 64};
    Result<std::unique_ptr<Detector>> detector =
        Detector::create(create_fake_backend(backend, control_), {});
    CHECK(detector.has_value());
    std::vector<std::shared_ptr<const Detector>> detectors;
    detectors.push_back(std::move(*detector));
    pool_ = std::make_unique<DevicePool>(std::move(detectors), clock_);
    for (std::size_t i = 0; i < cameras; ++i) {
      LedgerOptions options;
      options.camera = static_cast<CameraIndex>(i);
      options.model = "m";
      options.policy = policy;
      options.slo = slo;
      options.has_latency = is_live;
      ledgers_.push_back(std::make_unique<AnswerLedger>(options, clock_, [this](Answer&& answer) {
        if (desk_ != nullptr) desk_->count_answer(answer);
        const std::lock_guard lock(mu_);
        answers_.push_back(std::move(answer));
      }));
      options_.cameras.push_back({.ledger = ledgers_.back().get(), .policy = policy, .slo = slo});
      scenes_.emplace_back(SyntheticScene{.size = {160, 96}, .seed = static_cast<unsigned>(i) + 1});
    }
    seqs_.resize(cameras, 0);
  }

  Frame next_frame(CameraIndex camera, double pts_s, bool is_cut = false) {
    Frame frame;
    frame.stamp.seq = seqs_[camera]++;
    frame.stamp.frame_index = frame.stamp.seq;
    frame.stamp.pts_s = pts_s;
    frame.stamp.captured_mono = clock_.now();
    frame.is_stream_start = frame.stamp.seq == 0;
    frame.is_scene_start = frame.is_stream_start || is_cut;
    const bool is_seen = options_.cameras[camera].policy == PolicyKind::kSimilarity;
    if (is_adaptive(camera) || is_seen) {
      frame.picture = scenes_[camera].paint(2 * frame.stamp.seq);
      ledgers_[camera]->enter(frame, make_motion_frame(*frame.picture, nullptr));
    } else {
      frame.picture = picture_;
      ledgers_[camera]->enter(frame);
    }
    return frame;
  }

  /// Answers are audited from here on, the first ones all.
  AuditDesk& audit(AuditOptions options = {.share = .5, .first_share_inferred = .5}) {
    std::vector<AuditDesk::Camera> cameras;
    for (const auto& ledger : ledgers_)
      cameras.push_back({.ledger = ledger.get(), .policy = PolicyKind::kAdaptive});
    desk_ = std::make_unique<AuditDesk>(cameras, options);
    options_.audits = desk_.get();
    return *desk_;
  }

  bool is_adaptive(CameraIndex camera) const {
    return options_.cameras[camera].policy == PolicyKind::kAdaptive;
  }
  /// All answers so far, each camera's in order.
  std::vector<Answer> answers() {
    const std::lock_guard lock(mu_);
    std::vector<Answer> sorted = answers_;
    std::ranges::stable_sort(sorted, {}, &Answer::camera);
    return sorted;
  }

  CameraCounts total() const {
    CameraCounts total;
    for (const auto& ledger : ledgers_) total.merge(ledger->counts());
    return total;
  }
  static std::int64_t of(const CameraCounts& counts, Outcome outcome) {
    return counts.outcomes[static_cast<std::size_t>(outcome)];
  }
  static std::int64_t of(const CameraCounts& counts, InferencePurpose purpose) {
    return counts.inferences[static_cast<std::size_t>(purpose)];
  }
  static std::int64_t inferences(const CameraCounts& counts) {
    return std::accumulate(counts.inferences.begin(), counts.inferences.end(), std::int64_t{0});
  }

  const SystemClock clock_;
  const std::shared_ptr<const Picture> picture_ = grey_picture();
  std::shared_ptr<FakeBackendControl> control_;
  FrameSchedulerOptions options_;
  std::vector<std::unique_ptr<AnswerLedger>> ledgers_;
  std::vector<std::int64_t> seqs_;
  std::vector<SyntheticPainter> scenes_;
  std::unique_ptr<AuditDesk> desk_;
  std::mutex mu_;
  std::vector<Answer> answers_;       // guarded by mu_
  std::unique_ptr<DevicePool> pool_;  // last: its threads use the ledgers
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

TEST(TickScheduler, ComplexFramesOfPolicySimilarityAreNotBatched) {
  for (const PolicyKind policy : {PolicyKind::kSimilarity, PolicyKind::kAdaptive}) {
    World world(4, policy, {.batch_max = 4}, 1s, false);
    world.options_.knee_frames = 4;
    world.options_.similarity_min = 1;  // all are inferred
    const std::int64_t before = world.control_->started;
    TickScheduler scheduler(world.options_, *world.pool_);
    std::vector<std::thread> cameras;
    for (CameraIndex camera = 0; camera < 4; ++camera) {
      cameras.emplace_back([&, camera] {
        for (int i = 0; i < 10; ++i) scheduler.offer(camera, world.next_frame(camera, i * .1));
        scheduler.end_camera(camera);
      });
    }
    for (std::thread& camera : cameras) camera.join();
    scheduler.wait_until_done();
    EXPECT_EQ(World::of(world.total(), Outcome::kInferred), 40);
    EXPECT_EQ(world.control_->started - before, policy == PolicyKind::kSimilarity ? 40 : 10)
        << to_string(policy);
  }
}

// Promise: at pace fast, too, a batch that does not fit into a device's memory costs no answer, and
// what fits is remembered.
TEST(TickScheduler, BatchesThatRunOutOfMemoryAreCutUntilTheyFit) {
  World world(8, PolicyKind::kFull, {.batch_max = 8, .fixed = 200us}, 1s, false);
  world.options_.knee_frames = 8;
  world.control_->memory_frames = 3;
  TickScheduler scheduler(world.options_, *world.pool_);
  std::vector<std::thread> cameras;
  for (CameraIndex camera = 0; camera < 8; ++camera) {
    cameras.emplace_back([&, camera] {
      for (int i = 0; i < 20; ++i) scheduler.offer(camera, world.next_frame(camera, i * .1));
      scheduler.end_camera(camera);
    });
  }
  for (std::thread& camera : cameras) camera.join();
  scheduler.wait_until_done();
  EXPECT_EQ(World::of(world.total(), Outcome::kInferred), 8 * 20);
  EXPECT_EQ(World::of(world.total(), Outcome::kFailed), 0);
  EXPECT_EQ(world.pool_->states()[0].batch_max, 2U);
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
    // It was tried twice, and taken out for that.
    while (!world.pool_->states().front().is_serving) std::this_thread::yield();
    offer_one(0.2);
    const CameraCounts total = world.total();
    EXPECT_EQ(World::of(total, Outcome::kInferred), 2);
    EXPECT_EQ(World::of(total, policy == PolicyKind::kFull ? Outcome::kFailed : Outcome::kReused),
              1);
    scheduler.stop(10s);
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

// Policy adaptive.

/// What of an answer does not depend on time.
struct Line {
  CameraIndex camera = 0;
  std::int64_t seq = 0;
  Origin origin = Origin::kNone;
  std::int64_t source = -1;
  std::vector<Detection> detections;
  friend bool operator==(const Line&, const Line&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Line& line) {
    return out << "camera " << line.camera << " seq " << line.seq << ' ' << to_string(line.origin)
               << " from " << line.source << ", " << line.detections.size() << " detections";
  }
};

/// A run at pace fast: 10 frames a second of each camera, each from a thread of its own.
struct TickRun {
  PolicyKind policy = PolicyKind::kAdaptive;
  std::size_t cameras = 4;
  double share = 1;
  std::optional<double> per_second{};  ///< the budget, of cameras of which no rate is known
  double rate_hz = 10;                 ///< that their sources bring
  Duration answer_delay{0};
  Duration slo = 200ms;
  Duration tick = 100ms;
  FakeBackendOptions backend{};
  int frames = 80;
  std::vector<std::pair<CameraIndex, int>> cuts{};
  std::size_t ring_frames = 8;
  bool is_failing = false;  ///< the backend, but for the first frames
};

struct Ran {
  std::vector<Line> lines;  ///< by camera, then in order
  CameraCounts total;
  std::size_t cameras = 0;
  /// Which frames were inferred, in the order in which they come.
  [[nodiscard]] std::vector<const Line*> by_time() const {
    std::vector<const Line*> sorted;
    for (const Line& line : lines) sorted.push_back(&line);
    std::ranges::stable_sort(sorted, {}, [](const Line* line) { return line->seq; });
    return sorted;
  }
};

Ran run_ticks(const TickRun& run) {
  World world(run.cameras, run.policy, run.backend, run.slo, false);
  world.options_.inference_share = run.share;
  world.options_.budget_per_second = run.per_second;
  if (run.per_second) {
    for (ScheduledCamera& camera : world.options_.cameras) camera.rate_hz = 25;  // a guess
  }
  world.options_.answer_delay = run.answer_delay;
  world.options_.tick = run.tick;
  for (const auto& ledger : world.ledgers_) ledger->set_ring_frames(run.ring_frames);
  TickScheduler scheduler(world.options_, *world.pool_);
  std::vector<std::thread> threads;
  for (CameraIndex camera = 0; camera < run.cameras; ++camera) {
    threads.emplace_back([&, camera] {
      for (int i = 0; i < run.frames; ++i) {
        if (run.is_failing && i == 10) world.control_->fail_all = true;
        const bool is_cut = std::ranges::find(run.cuts, std::pair(camera, i)) != run.cuts.end();
        scheduler.offer(camera, world.next_frame(camera, i / run.rate_hz, is_cut));
      }
      scheduler.end_camera(camera);
    });
  }
  for (std::thread& thread : threads) thread.join();
  scheduler.wait_until_done();
  Ran ran{.total = world.total(), .cameras = run.cameras};
  for (Answer& answer : world.answers()) {
    ran.lines.push_back({answer.camera, answer.stamp.seq, answer.origin, answer.source_frame_index,
                         std::move(answer.detections)});
  }
  EXPECT_TRUE(ran.total.is_conserved());
  EXPECT_EQ(ran.total.in_flight, 0);
  EXPECT_EQ(ran.lines.size(), run.cameras * static_cast<std::size_t>(run.frames));
  return ran;
}

TEST(TickSchedulerAdaptive, TheSameInputsGiveTheSameAnswersHoweverItRuns) {
  for (const Duration delay : {0ms, 150ms, 350ms}) {
    TickRun run{.share = .25, .answer_delay = delay, .cuts = {{1, 30}, {3, 55}}};
    const Ran once = run_ticks(run);
    EXPECT_EQ(run_ticks(run).lines, once.lines) << "again, delay " << to_ms(delay);
    run.backend = {.parallel_requests = 4, .fixed = 1ms};
    EXPECT_EQ(run_ticks(run).lines, once.lines) << "four threads, delay " << to_ms(delay);
    run.backend = {.parallel_requests = 2, .fixed = 3ms};
    EXPECT_EQ(run_ticks(run).lines, once.lines) << "two slow threads, delay " << to_ms(delay);
  }
}

TEST(TickSchedulerAdaptive, NoWindowExceedsTheBudget) {
  for (const std::size_t cameras : {1U, 5U, 24U}) {
    for (const double share : {.1, .33}) {
      const Ran ran = run_ticks({.cameras = cameras, .share = share, .frames = 40});
      const std::vector<const Line*> lines = ran.by_time();
      const double burst = std::max(1.0, static_cast<double>(cameras) / 10);
      for (std::size_t first = 0; first < lines.size(); ++first) {
        double allowed = burst;
        int inferred = 0;
        for (std::size_t i = first; i < lines.size(); ++i) {
          allowed += share + (lines[i]->seq == 0 ? 1 : 0);
          inferred += lines[i]->origin == Origin::kInferred ? 1 : 0;
          ASSERT_LE(inferred, allowed + 1e-6) << cameras << " cameras, " << first << ".." << i;
        }
      }
      EXPECT_GE(World::inferences(ran.total), .9 * share * static_cast<double>(lines.size()));
      EXPECT_EQ(World::of(ran.total, InferencePurpose::kForced), cameras) << "first frames";
      EXPECT_EQ(
          World::of(ran.total, Outcome::kInferred) + World::of(ran.total, Outcome::kPropagated),
          lines.size());
    }
  }
}

TEST(TickSchedulerAdaptive, ABudgetASecondIsOfMediaTimeWhateverTheSourcesBring) {
  constexpr double kBudget = 4;  // inferences a second, of four cameras that answer each frame
  for (const PolicyKind policy : {PolicyKind::kAdaptive, PolicyKind::kHold}) {
    for (const double rate : {5.0, 10.0, 30.0, 60.0}) {
      const TickRun run{.policy = policy,
                        .share = kBudget / 100,  // by the guess
                        .per_second = kBudget,
                        .rate_hz = rate,
                        .frames = static_cast<int>(rate * 10)};
      const Ran ran = run_ticks(run);
      const auto inferred = static_cast<double>(World::inferences(ran.total));
      // The first frame of each camera comes on top, and what a burst or a few frames are worth.
      EXPECT_LE(inferred, kBudget * 10 + 4 + 2) << to_string(policy) << " at " << rate << "/s";
      EXPECT_GE(inferred, .85 * kBudget * 10) << to_string(policy) << " at " << rate << "/s";
      EXPECT_EQ(run_ticks(run).lines, ran.lines) << "and the same each time";
    }
  }
}

/// Capture times of a camera that answers each third frame of a file of 30/s, up to 32 ms late.
std::vector<double> jittery_times(int frames) {
  std::mt19937 rng(3);
  std::uniform_real_distribution<double> late(0, .032);
  std::vector<double> times;
  for (int i = 0; i < frames; ++i) times.push_back(.1 * i + late(rng));
  return times;
}

/// One camera of policy hold that is sampled by `every`, and a budget of 3/s: .3 of its frames.
void set_budget_a_second(World& world) {
  world.options_.inference_share = 3 / 8.0;  // by the guess
  world.options_.budget_per_second = 3;
  world.options_.cameras.front().rate_hz = 8;
}

/// Three or four frames from one inference to the next, once the rate is known.
void expect_even(World& world) {
  std::int64_t last = 0;
  std::int64_t inferred = 0;
  for (const Answer& answer : world.answers()) {
    if (answer.origin != Origin::kInferred) continue;
    ++inferred;
    if (last > 20) {
      EXPECT_GE(answer.stamp.seq - last, 3) << last;
      EXPECT_LE(answer.stamp.seq - last, 4) << last;
    }
    last = answer.stamp.seq;
  }
  EXPECT_NEAR(static_cast<double>(inferred), .3 * static_cast<double>(world.answers().size()),
              .015 * static_cast<double>(world.answers().size()));
}

TEST(TickScheduler, HoldStaysEvenThoughTimestampsJitter) {
  World world(1, PolicyKind::kHold, {}, 1s, false);
  set_budget_a_second(world);
  TickScheduler scheduler(world.options_, *world.pool_);
  for (const double at : jittery_times(3000)) scheduler.offer(0, world.next_frame(0, at));
  scheduler.end_camera(0);
  scheduler.wait_until_done();
  expect_even(world);
}

TEST(LiveScheduler, HoldStaysEvenThoughTimestampsJitter) {
  World world(1, PolicyKind::kHold, {}, 1h);
  set_budget_a_second(world);
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  const TimePoint begin = world.clock_.now();
  for (const double at : jittery_times(3000)) {
    Frame frame = world.next_frame(0, at);
    frame.stamp.captured_mono = begin + from_seconds(at);
    scheduler.offer(0, std::move(frame));
    while (world.ledgers_[0]->counts().in_flight > 0) std::this_thread::yield();
  }
  scheduler.stop(10s);
  expect_even(world);
}

TEST(TickSchedulerAdaptive, AuditsAreWithinTheBudgetToTheEnd) {
  constexpr std::size_t kCameras = 20;
  World world(kCameras, PolicyKind::kAdaptive, {}, 200ms, false);
  world.options_.inference_share = .05;
  world.audit({.share = .3});
  TickScheduler scheduler(world.options_, *world.pool_);
  std::vector<std::thread> threads;
  for (CameraIndex camera = 0; camera < kCameras; ++camera) {
    threads.emplace_back([&, camera] {
      for (int i = 0; i < 40; ++i) scheduler.offer(camera, world.next_frame(camera, .1 * i));
      scheduler.end_camera(camera);
    });
  }
  for (std::thread& thread : threads) thread.join();
  scheduler.wait_until_done();
  const CameraCounts total = world.total();
  EXPECT_GT(World::of(total, InferencePurpose::kAudit), 0);
  EXPECT_LE(World::inferences(total), .05 * 40 * kCameras + kCameras / 10 + kCameras);
}

TEST(TickSchedulerAdaptive, WithoutABudgetItEqualsFull) {
  // `full` of the other tests sees a wall; here both see the same moving scenes.
  const Ran adaptive = run_ticks({.frames = 60, .cuts = {{2, 20}}});
  EXPECT_EQ(World::of(adaptive.total, Outcome::kInferred), adaptive.lines.size());
  World world(4, PolicyKind::kAdaptive, {}, 200ms, false);
  for (std::size_t i = 0; i < 4; ++i) {
    LedgerOptions options;
    options.camera = static_cast<CameraIndex>(i);
    options.slo = 200ms;
    options.has_latency = false;
    std::vector<Line> lines;
    AnswerLedger full(options, world.clock_, [&](Answer&& answer) {
      lines.push_back({answer.camera, answer.stamp.seq, answer.origin, answer.source_frame_index,
                       std::move(answer.detections)});
    });
    world.options_.cameras[i].policy = PolicyKind::kFull;
    world.options_.cameras[i].ledger = &full;
    FrameSchedulerOptions alone;
    alone.cameras = {world.options_.cameras[i]};
    TickScheduler scheduler(alone, *world.pool_);
    for (int n = 0; n < 60; ++n) {
      Frame frame;
      frame.stamp.seq = frame.stamp.frame_index = n;
      frame.stamp.pts_s = .1 * n;
      frame.is_stream_start = n == 0;
      frame.is_scene_start = n == 0 || (i == 2 && n == 20);
      frame.picture = world.scenes_[i].paint(2 * n);
      full.enter(frame);
      scheduler.offer(0, std::move(frame));
    }
    scheduler.end_camera(0);
    scheduler.wait_until_done();
    std::vector<Line> want;
    std::ranges::copy_if(adaptive.lines, std::back_inserter(want),
                         [&](const Line& line) { return line.camera == i; });
    EXPECT_EQ(lines, want) << "camera " << i << ": detections and tracks";
  }
}

TEST(TickSchedulerAdaptive, ResultsBehindTheSloOnlyCorrect) {
  const Ran ran = run_ticks({.cameras = 2, .share = .5, .answer_delay = 350ms, .frames = 60});
  EXPECT_GT(World::of(ran.total, InferencePurpose::kPrimary), 10);
  EXPECT_EQ(World::of(ran.total, InferencePurpose::kDiscarded), 0);
  for (const Line& line : ran.lines) {
    EXPECT_NE(line.origin, Origin::kInferred) << line;
    if (line.seq >= 4) {  // something is known
      EXPECT_EQ(line.origin, Origin::kPropagated) << line;
      // An answer waits for 200 ms at most, a result comes after 350.
      EXPECT_LE(line.source, line.seq - 2) << line << ": no result is used before its time";
      EXPECT_GE(line.source, line.seq - 20) << line << ": but then it is";
    }
  }
}

TEST(TickSchedulerAdaptive, LongTicksLetNoAnswerSeeALaterResult) {
  // The frame is given up at 195 ms, its result comes at 250, and both are noticed at 300.
  const Ran ran = run_ticks({.cameras = 1, .share = .5, .answer_delay = 250ms, .tick = 300ms});
  EXPECT_EQ(World::of(ran.total, Outcome::kInferred), 0);
  for (const Line& line : ran.lines) EXPECT_LE(line.source, line.seq - 1) << line;
}

TEST(TickSchedulerAdaptive, ResultsWithinTheSloAreWaitedFor) {
  const Ran ran = run_ticks({.cameras = 2, .share = .4, .answer_delay = 150ms, .frames = 60});
  EXPECT_GT(World::of(ran.total, Outcome::kInferred), 20);
  EXPECT_EQ(World::of(ran.total, Outcome::kLate), 0);
  std::int64_t source = -1;
  for (const Line& line : ran.lines) {
    if (line.seq == 0) source = -1;
    if (line.origin == Origin::kInferred) source = line.seq;
    EXPECT_EQ(line.source, source) << line;
  }
}

TEST(TickSchedulerAdaptive, ResultsTooLateForTheRingAreDiscarded) {
  const Ran ran = run_ticks({.cameras = 1, .share = .5, .answer_delay = 3s, .frames = 60});
  EXPECT_GT(World::of(ran.total, InferencePurpose::kDiscarded), 0);
  for (const Line& line : ran.lines) EXPECT_EQ(line.origin, Origin::kNone) << line;
}

TEST(TickSchedulerAdaptive, ARingThatIsMadeForTheDelayDiscardsNothing) {
  const Ran ran = run_ticks({.cameras = 2,
                             .share = .5,
                             .answer_delay = 900ms,
                             .frames = 60,
                             .ring_frames = ring_frames_for(900ms + 100ms, 10)});
  EXPECT_EQ(World::of(ran.total, InferencePurpose::kDiscarded), 0);
  EXPECT_GE(World::of(ran.total, Outcome::kPropagated), 2 * 49);
}

TEST(TickSchedulerAdaptive, ACutWithoutATokenIsInferredBeforeAnythingElse) {
  const std::vector<std::pair<CameraIndex, int>> cuts{{1, 12}, {3, 29}, {0, 47}, {2, 61}};
  for (const Duration delay : {0ms, 150ms}) {
    const Ran ran = run_ticks({.share = .05, .answer_delay = delay, .cuts = cuts});
    for (const auto& [camera, at] : cuts) {
      std::int64_t others = 0;
      for (const Line* line : ran.by_time()) {
        if (line->seq < at || line->origin != Origin::kInferred) continue;
        if (line->camera == camera) break;
        ++others;
      }
      // With a delay an earlier frame of the camera may be at the model: another has the token.
      EXPECT_LE(others, delay == 0ms ? 0 : 1) << "cut at " << at << ", delay " << to_ms(delay);
    }
  }
}

TEST(TickSchedulerAdaptive, AFailingBackendCostsNoAnswer) {
  const Ran ran = run_ticks({.share = .5, .frames = 24, .is_failing = true});
  EXPECT_EQ(World::of(ran.total, Outcome::kFailed), 0);
  EXPECT_EQ(World::of(ran.total, Outcome::kLate), 0);
  EXPECT_GT(World::of(ran.total, Outcome::kPropagated), 48);
}

TEST(TickSchedulerAdaptive, FramesWhoseInferenceFailedMayBeAudited) {
  World world(1, PolicyKind::kAdaptive, {}, 200ms, false);
  AuditDesk& desk = world.audit();
  TickScheduler scheduler(world.options_, *world.pool_);
  for (int i = 0; i < 30; ++i) {
    if (i == 10) world.control_->fail_all = true;
    scheduler.offer(0, world.next_frame(0, .1 * i));
  }
  scheduler.end_camera(0);
  scheduler.wait_until_done();
  EXPECT_GE(World::of(world.total(), Outcome::kPropagated), 18);
  EXPECT_EQ(desk.total().state, FidelityState::kAuditsLost) << "they fail as well";
}

TEST(TickSchedulerAdaptive, StopInTheMiddleSettlesAll) {
  World world(3, PolicyKind::kAdaptive, {.parallel_requests = 2}, 200ms, false);
  world.options_.inference_share = .5;
  world.options_.answer_delay = 150ms;
  world.control_->hang = true;
  TickScheduler scheduler(world.options_, *world.pool_);
  std::vector<std::future<void>> cameras;
  for (CameraIndex camera = 0; camera < 3; ++camera) {
    cameras.push_back(std::async(std::launch::async, [&, camera] {
      for (int i = 0; i < 40; ++i) scheduler.offer(camera, world.next_frame(camera, i * 0.1));
      scheduler.end_camera(camera);
    }));
  }
  scheduler.stop(20ms);
  for (std::future<void>& camera : cameras) camera.get();
  world.control_->hang = false;
  EXPECT_TRUE(world.pool_->stop(10s));
  const CameraCounts total = world.total();
  EXPECT_EQ(total.captured, 120);
  EXPECT_TRUE(total.is_conserved());
  EXPECT_EQ(total.in_flight, 0);
}

/// Waits for what other threads do; false after far too long.
bool wait_for(const std::function<bool()>& is_true) {
  const auto give_up_at = std::chrono::steady_clock::now() + 60s;
  while (!is_true()) {
    if (std::chrono::steady_clock::now() > give_up_at) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(LiveSchedulerAdaptive, WithCapacityToSpareEveryFrameIsInferred) {
  World world(3, PolicyKind::kAdaptive, {.parallel_requests = 2});
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (int i = 0; i < 60; ++i) {
    for (CameraIndex camera = 0; camera < 3; ++camera)
      scheduler.offer(camera, world.next_frame(camera, i * 0.1));
    ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; }));
  }
  EXPECT_EQ(World::of(world.total(), Outcome::kInferred), 180);
  EXPECT_EQ(World::of(world.total(), InferencePurpose::kForced), 3);
  EXPECT_EQ(World::of(world.total(), InferencePurpose::kPrimary), 177);
  scheduler.stop(10s);
}

TEST(LiveSchedulerAdaptive, UnderOverloadEveryFrameIsAnswered) {
  World world(8, PolicyKind::kAdaptive, {.parallel_requests = 2, .fixed = 20ms});
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (CameraIndex camera = 0; camera < 8; ++camera)
    scheduler.offer(camera, world.next_frame(camera, 0));
  ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; }));
  for (int i = 1; i < 100; ++i) {
    for (CameraIndex camera = 0; camera < 8; ++camera)
      scheduler.offer(camera, world.next_frame(camera, i * 0.1));
  }
  for (CameraIndex camera = 0; camera < 8; ++camera) scheduler.end_camera(camera);
  scheduler.wait_until_done();
  const CameraCounts total = world.total();
  EXPECT_EQ(total.captured, 800);
  EXPECT_TRUE(total.is_conserved());
  EXPECT_EQ(total.in_flight, 0);
  EXPECT_EQ(World::of(total, Outcome::kInferred) + World::of(total, Outcome::kPropagated), 800);
  EXPECT_EQ(World::of(total, Outcome::kSuperseded), 0);
  EXPECT_GT(World::of(total, Outcome::kPropagated), 0);
  for (const auto& ledger : world.ledgers_)
    EXPECT_GE(World::of(ledger->counts(), Outcome::kInferred), 1);
}

TEST(LiveSchedulerAdaptive, ACameraHasOneFrameAtAModel) {
  World world(1, PolicyKind::kAdaptive, {.parallel_requests = 4, .fixed = 1ms});
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (int i = 0; i < 300; ++i) {
    scheduler.offer(0, world.next_frame(0, i * 0.1));
    if (i % 7 == 0) std::this_thread::yield();
  }
  scheduler.end_camera(0);
  scheduler.wait_until_done();
  EXPECT_EQ(world.control_->in_flight_peak, 1);
  EXPECT_EQ(world.total().in_flight, 0);
}

TEST(LiveSchedulerAdaptive, AFrameIsGivenUpBeforeItsDeadlineAndItsResultStillCounts) {
  constexpr Duration kSlo = 400ms;
  World world(1, PolicyKind::kAdaptive, {}, kSlo);
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  scheduler.offer(0, world.next_frame(0, 0));
  ASSERT_TRUE(wait_for([&] { return world.answers().size() == 1; }));

  world.control_->hang = true;
  scheduler.offer(0, world.next_frame(0, .1));
  ASSERT_TRUE(wait_for([&] { return world.control_->in_flight == 1; }));
  scheduler.offer(0, world.next_frame(0, .2));  // behind it
  ASSERT_TRUE(wait_for([&] { return world.answers().size() == 3; })) << "though the model hangs";
  std::vector<Answer> answers = world.answers();
  EXPECT_EQ(answers[1].origin, Origin::kPropagated);
  EXPECT_EQ(answers[1].source_frame_index, 0);
  EXPECT_GE(*answers[1].latency, kSlo - kGiveUpBefore) << "it waits as long as it can";
  EXPECT_EQ(answers[2].origin, Origin::kPropagated);
  EXPECT_EQ(world.control_->in_flight, 1);

  world.control_->hang = false;
  ASSERT_TRUE(wait_for([&] { return World::inferences(world.total()) == 2; }));
  world.control_->fail_all = true;  // the next one is answered from the state
  scheduler.offer(0, world.next_frame(0, .3));
  ASSERT_TRUE(wait_for([&] { return world.answers().size() == 4; }));
  answers = world.answers();
  EXPECT_EQ(answers[3].origin, Origin::kPropagated);
  EXPECT_EQ(answers[3].source_frame_index, 1) << "the late result has become the key frame";
  EXPECT_EQ(World::of(world.total(), InferencePurpose::kDiscarded), 0);
  scheduler.stop(10s);
}

TEST(LiveSchedulerAdaptive, FramesWithoutAChanceAreAnsweredAtOnce) {
  constexpr std::size_t kCameras = 16;
  World world(kCameras, PolicyKind::kAdaptive, {}, 1h);
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (CameraIndex camera = 0; camera < kCameras; ++camera)
    scheduler.offer(camera, world.next_frame(camera, 0));
  ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; }));
  world.control_->hang = true;
  for (CameraIndex camera = 0; camera < kCameras; ++camera)
    scheduler.offer(camera, world.next_frame(camera, .1));
  // One at the model, a few that wait for it; the deadline is an hour away.
  ASSERT_TRUE(wait_for([&] { return world.total().in_flight <= 6; }));
  EXPECT_GE(World::of(world.total(), Outcome::kPropagated), 10);
  world.control_->hang = false;
  ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; }));
  scheduler.stop(10s);
}

TEST(LiveSchedulerAdaptive, ANewerFrameAnswersTheOneThatWaits) {
  World world(1, PolicyKind::kAdaptive, {}, 1h);
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  scheduler.offer(0, world.next_frame(0, 0));
  ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; }));
  world.control_->hang = true;
  for (int i = 1; i <= 4; ++i) {
    scheduler.offer(0, world.next_frame(0, i * 0.1));
    ASSERT_TRUE(wait_for([&] { return world.control_->in_flight == 1; }));
  }
  world.control_->hang = false;
  ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; }));
  std::vector<Origin> origins;
  for (const Answer& answer : world.answers()) origins.push_back(answer.origin);
  EXPECT_EQ(origins, (std::vector{Origin::kInferred, Origin::kInferred, Origin::kPropagated,
                                  Origin::kPropagated, Origin::kInferred}));
  scheduler.stop(10s);
}

TEST(LiveSchedulerAdaptive, TheBudgetHoldsAndCriticalCamerasAreInferredAllTheSame) {
  World world(6, PolicyKind::kAdaptive, {.parallel_requests = 2});
  world.options_.inference_share = .3;
  world.options_.cameras[2].priority = Priority::kCritical;
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  constexpr int kFrames = 60;
  for (int i = 0; i < kFrames; ++i) {
    for (CameraIndex camera = 0; camera < 6; ++camera)
      scheduler.offer(camera, world.next_frame(camera, i * 0.1));
    ASSERT_TRUE(wait_for([&] { return world.ledgers_[2]->counts().in_flight == 0; }));
  }
  scheduler.stop(10s);
  const CameraCounts total = world.total();
  EXPECT_EQ(total.in_flight, 0);
  EXPECT_EQ(World::of(world.ledgers_[2]->counts(), Outcome::kInferred), kFrames);
  EXPECT_LE(World::inferences(total), .3 * 6 * kFrames + 1 + 6 + 1);
  EXPECT_GE(World::of(total, InferencePurpose::kForced), kFrames);
}

TEST(LiveSchedulerAdaptive, ABudgetASecondIsOfTheCaptureClockWhateverTheSourcesBring) {
  constexpr double kBudget = 2;
  constexpr std::size_t kCameras = 4;
  for (const double rate : {2.0, 50.0}) {  // 25 are the guess
    World world(kCameras, PolicyKind::kAdaptive, {.parallel_requests = 2}, 60s);
    world.options_.inference_share = kBudget / (25 * kCameras);
    world.options_.budget_per_second = kBudget;
    for (ScheduledCamera& camera : world.options_.cameras) camera.rate_hz = 25;
    double share = 0;
    world.options_.on_dispatch = [&share](DispatchRecord&& record) {
      if (const auto* const set = std::get_if<ShareSet>(&record)) share = set->share;
    };
    LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
    const TimePoint begin = world.clock_.now();
    const int frames = static_cast<int>(rate * 12);
    for (int i = 0; i < frames; ++i) {
      for (CameraIndex camera = 0; camera < kCameras; ++camera) {
        Frame frame = world.next_frame(camera, i / rate);
        frame.stamp.captured_mono = begin + from_seconds(i / rate);
        scheduler.offer(camera, std::move(frame));
      }
    }
    scheduler.stop(10s);
    const auto inferred = static_cast<double>(World::inferences(world.total()));
    EXPECT_LE(inferred, kBudget * 12 + kCameras + 2) << rate;
    EXPECT_NEAR(share, kBudget / (rate * kCameras), .02 * kBudget / (rate * kCameras)) << rate;
  }
}

TEST(LiveSchedulerAdaptive, ARunEndsThoughItsLastFrameIsACutWithoutAToken) {
  World world(1, PolicyKind::kAdaptive, {}, 200ms);
  world.options_.inference_share = .05;
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (int i = 0; i < 3; ++i) {
    scheduler.offer(0, world.next_frame(0, i * 0.1, i == 2));
    ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; })) << i;
  }
  scheduler.end_camera(0);
  scheduler.wait_until_done();
  EXPECT_EQ(world.answers().back().origin, Origin::kPropagated);
}

TEST(LiveSchedulerAdaptive, AFailingBackendCostsNoAnswer) {
  World world(1, PolicyKind::kAdaptive, {});
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (int i = 0; i < 3; ++i) {
    world.control_->fail_all = i == 1;
    ASSERT_TRUE(wait_for([&] { return world.pool_->states().front().is_serving; }));
    scheduler.offer(0, world.next_frame(0, i * 0.1));
    ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; }));
  }
  EXPECT_EQ(World::of(world.total(), Outcome::kInferred), 2);
  EXPECT_EQ(World::of(world.total(), Outcome::kPropagated), 1);
  scheduler.stop(10s);
}

TEST(LiveSchedulerAdaptive, AFrameWhoseInferenceFailedMayBeAudited) {
  World world(1, PolicyKind::kAdaptive, {});
  AuditDesk& desk = world.audit();
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  scheduler.offer(0, world.next_frame(0, 0));
  ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; }));
  world.control_->fail_all = true;
  scheduler.offer(0, world.next_frame(0, .1));
  ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; }));
  const auto is_lost = [&] { return desk.total().state == FidelityState::kAuditsLost; };
  EXPECT_TRUE(wait_for([&] { return desk.waiting() == 1 || is_lost(); }));
  scheduler.stop(10s);
}

TEST(LiveSchedulerAdaptive, StopAnswersWhatWaitsAndWaitsForWhatRuns) {
  World world(3, PolicyKind::kAdaptive, {.fixed = 5ms}, 1h);
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (int i = 0; i < 2; ++i) {
    for (CameraIndex camera = 0; camera < 3; ++camera)
      scheduler.offer(camera, world.next_frame(camera, i * 0.1));
  }
  scheduler.stop(10s);
  EXPECT_EQ(world.total().in_flight, 0);
  EXPECT_EQ(world.total().captured, 6);
  EXPECT_EQ(world.control_->in_flight, 0);
  scheduler.offer(0, world.next_frame(0, .2));
  EXPECT_EQ(world.total().in_flight, 0) << "what comes after it is answered at once";
  EXPECT_TRUE(world.total().is_conserved());
}

TEST(LiveSchedulerAdaptive, StopDoesNotWaitForAHangingDevice) {
  World world(3, PolicyKind::kAdaptive, {}, 1h);
  LiveScheduler scheduler(world.options_, *world.pool_, world.clock_);
  for (CameraIndex camera = 0; camera < 3; ++camera)
    scheduler.offer(camera, world.next_frame(camera, 0));
  ASSERT_TRUE(wait_for([&] { return world.total().in_flight == 0; }));
  world.control_->hang = true;
  for (CameraIndex camera = 0; camera < 3; ++camera) {
    scheduler.offer(camera, world.next_frame(camera, .1));
    scheduler.offer(camera, world.next_frame(camera, .2));
  }
  scheduler.stop(20ms);
  EXPECT_LE(world.total().in_flight, 2) << "the one at the model and one behind it";
  EXPECT_TRUE(world.total().is_conserved());
  world.control_->hang = false;
  EXPECT_TRUE(world.pool_->stop(10s));
  EXPECT_EQ(world.total().in_flight, 0);
}

}  // namespace
}  // namespace framemill
