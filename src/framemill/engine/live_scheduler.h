#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/engine/frame_scheduler.h"
#include "framemill/sched/batch_policy.h"
#include "framemill/sched/inference_gate.h"

namespace framemill {

/// Pace live: each camera has a mailbox for its newest frame, and one thread asks the batch policy
/// what to send whenever a frame arrives, a batch completes or a timer ends. A frame that a newer
/// one replaces ends as `superseded` under policy full and is answered by the last boxes under
/// hold. One that cannot be inferred by its deadline is answered by the last boxes under hold, and
/// under full late, where there is capacity to spare.
class LiveScheduler final : public FrameScheduler {
 public:
  LiveScheduler(FrameSchedulerOptions options, DetectorPool& pool, const Clock& clock);
  ~LiveScheduler() override;

  void offer(CameraIndex camera, Frame&& frame) override EXCLUDES(mu_);
  void end_camera(CameraIndex camera) override EXCLUDES(mu_);
  void stop(Duration patience) override EXCLUDES(mu_);
  void wait_until_done() override EXCLUDES(mu_);

 private:
  struct Waiting {
    Frame frame;
    LaneIndex lane = 0;
    TimePoint arrived_at;
  };
  struct Mailbox {
    std::optional<Waiting> waiting;
    std::size_t in_flight = 0;
    std::optional<TimePoint> served_until;
    std::optional<TimePoint> next_arrival;
    LaneIndex lane = 0;
    bool is_inference_owed = false;  ///< a scene has started and no frame of it was sent yet
    bool has_ended = false;
  };
  /// A frame taken out of its mailbox without inference, to be settled without the lock.
  struct Unserved {
    CameraIndex camera = 0;
    std::int64_t seq = 0;
  };

  void run() EXCLUDES(mu_);
  /// One look at the mailboxes: fills what to send and what to settle; returns when to look again.
  std::optional<TimePoint> decide(std::vector<InferenceJob>& jobs, LaneIndex& lane,
                                  std::vector<Unserved>& unserved) REQUIRES(mu_);
  /// The frames which the policy does not see, because a batch of their camera is in flight: gives
  /// up on those that can no longer follow it in time.
  void give_up_behind_batches(TimePoint now, std::vector<Unserved>& unserved,
                              std::optional<TimePoint>& wake_at) REQUIRES(mu_);
  void on_batch_done(LaneIndex lane, BatchOutcome&& outcome) EXCLUDES(mu_);
  void settle_unserved(const Unserved& unserved);
  [[nodiscard]] bool is_drained() const REQUIRES(mu_);

  const FrameSchedulerOptions options_;
  DetectorPool& pool_;
  const Clock& clock_;
  const std::size_t in_flight_per_camera_;
  const BatchPolicy policy_;

  Mutex mu_;
  CondVar changed_;
  std::vector<Mailbox> mailboxes_ GUARDED_BY(mu_);
  InferenceGate gate_ GUARDED_BY(mu_);
  std::vector<ServiceTimes> times_ GUARDED_BY(mu_);    ///< by lane
  std::deque<TimePoint> batches_due_ GUARDED_BY(mu_);  ///< in flight, when each should end
  std::size_t batches_in_flight_ GUARDED_BY(mu_) = 0;
  std::uint64_t news_ GUARDED_BY(mu_) = 0;  ///< counts what makes a decision worth repeating
  bool is_stopped_ GUARDED_BY(mu_) = false;
  // Reused from decision to decision; used by thread_ only.
  std::vector<WaitingFrame> waiting_;
  std::vector<ExpectedArrival> expected_;
  BatchScratch scratch_;
  BatchDecision decision_;
  std::thread thread_;  // last member
};

}  // namespace framemill
