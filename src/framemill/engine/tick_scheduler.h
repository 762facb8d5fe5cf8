#pragma once

#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/engine/frame_scheduler.h"
#include "framemill/sched/inference_gate.h"

namespace framemill {

/// Pace fast: media time moves in ticks. Tick k holds the sampled frames with
/// pts - first pts in [k, k + 1) * tick of every camera, ordered by (pts, camera); it is decided
/// once all of them are present. A camera that is more than a tick ahead waits in offer(), so
/// nothing is superseded and the same inputs give the same choices on any machine.
class TickScheduler final : public FrameScheduler {
 public:
  TickScheduler(FrameSchedulerOptions options, DetectorPool& pool);
  ~TickScheduler() override;

  void offer(CameraIndex camera, Frame&& frame) override EXCLUDES(mu_);
  void end_camera(CameraIndex camera) override EXCLUDES(mu_);
  void stop(Duration patience) override EXCLUDES(mu_);
  void wait_until_done() override EXCLUDES(mu_);

 private:
  struct Waiting {
    CameraIndex camera = 0;
    std::int64_t tick = 0;
    LaneIndex lane = 0;
    Frame frame;
  };
  struct CameraQueue {
    std::deque<Waiting> frames;
    std::int64_t last_tick = -1;  ///< of the newest offered frame
    bool has_ended = false;
  };

  void run() EXCLUDES(mu_);
  /// Waits until all frames of a tick are present and takes them, in order; empty: done or stopped.
  std::vector<Waiting> take_tick() EXCLUDES(mu_);
  void infer(std::vector<Waiting>& frames) EXCLUDES(mu_);
  void settle(BatchOutcome&& outcome) EXCLUDES(mu_);
  [[nodiscard]] std::int64_t tick_of(const Frame& frame) const;

  const FrameSchedulerOptions options_;
  DetectorPool& pool_;
  InferenceGate gate_;  // used by thread_ only

  Mutex mu_;
  CondVar changed_;
  std::vector<CameraQueue> queues_ GUARDED_BY(mu_);
  std::int64_t tick_ GUARDED_BY(mu_) = 0;  ///< the one being waited for
  std::size_t batches_in_flight_ GUARDED_BY(mu_) = 0;
  bool is_draining_ GUARDED_BY(mu_) = false;  ///< offers are refused
  bool is_stopped_ GUARDED_BY(mu_) = false;
  bool is_done_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // last member
};

}  // namespace framemill
