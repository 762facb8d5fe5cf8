#pragma once

#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "framemill/base/growing_list.h"
#include "framemill/base/mutex.h"
#include "framemill/engine/frame_scheduler.h"
#include "framemill/sched/dispatch_trace.h"

namespace framemill {

/// Pace live: one thread tells LiveDispatch what happens and does what it decides, whenever a frame
/// arrives, a batch completes or a timer ends. What is decided is written there; this class has the
/// thread, the lock, the frames, the ledgers and the pool. A frame that is not inferred ends as
/// `superseded` under policy full and is answered from the camera's state under the others; an
/// adaptive one that was answered so while at a model has its result correct the state.
class LiveScheduler final : public FrameScheduler {
 public:
  LiveScheduler(FrameSchedulerOptions options, DevicePool& pool, const Clock& clock);
  ~LiveScheduler() override;

  void offer(CameraIndex camera, Frame&& frame) override EXCLUDES(mu_);
  void end_camera(CameraIndex camera) override EXCLUDES(mu_);
  void stop(Duration patience) override EXCLUDES(mu_);
  void wait_until_done() override EXCLUDES(mu_);
  [[nodiscard]] SchedulerStatus status() const override EXCLUDES(mu_);
  [[nodiscard]] double budget_share(double by_settings) const override EXCLUDES(mu_);
  void begin_changes() override EXCLUDES(mu_);
  void end_changes() override EXCLUDES(mu_);
  void add_camera(const ScheduledCamera& camera) override EXCLUDES(mu_);
  void remove_camera(CameraIndex camera) override EXCLUDES(mu_);
  [[nodiscard]] bool is_idle(CameraIndex camera) const override EXCLUDES(mu_);
  void set_shares(double inference_share, std::optional<double> adaptive_share) override
      EXCLUDES(mu_);

 private:
  /// A frame that the dispatch may name.
  struct Held {
    LaneIndex audit_lane = 0;  ///< of the best rung
    InferenceJob job;
    bool is_device_out = false;  ///< given up since no device serves
  };
  /// A batch to be sent.
  struct Sending {
    std::vector<InferenceJob> jobs;
    DeviceIndex device = 0;
    LaneIndex lane = 0;
  };
  struct Mailbox {
    std::optional<Held> waiting;
    std::optional<Held> awaited;  ///< adaptive, at a model: given up, it may be audited
    std::optional<double> need;   ///< adaptive: mean of the last frames, older ones counting less
    // Of frames that the dispatch was not told of, see is_given_up().
    bool is_start_owed = false;
    bool is_scene_owed = false;
    bool has_ended = false;
    bool is_removed = false;
  };

  void run() EXCLUDES(mu_);
  /// One look: fills what to send and what to settle; returns when to look again.
  std::optional<TimePoint> decide(Sending& sending, std::vector<Held>& unserved) REQUIRES(mu_);
  /// Tells the dispatch which devices serve, where that has changed.
  void look_at_devices() REQUIRES(mu_);
  /// Takes the frame that the dispatch gave back.
  [[nodiscard]] Held take(CameraIndex camera, std::int64_t seq) REQUIRES(mu_);
  /// Whether all that is left for the frame is to end without inference: its lane fails on each
  /// device. The dispatch is not told of it, so that it costs the others neither slots nor budget.
  [[nodiscard]] bool is_given_up(ArrivedFrame& frame) REQUIRES(mu_);
  void learn_need(CameraIndex camera, double need) REQUIRES(mu_);
  void on_batch_done(DeviceIndex device, LaneIndex lane, BatchOutcome&& outcome) EXCLUDES(mu_);
  /// Whether the frame, whose batch failed, waits once more; it then is no longer `job`.
  [[nodiscard]] bool give_back(InferenceJob& job, std::optional<Held>& awaited) REQUIRES(mu_);
  void settle_unserved(Held&& unserved);
  /// The doubt about the frame that waits in `camera`'s mailbox, once all before it are settled.
  void look_again(CameraIndex camera) EXCLUDES(mu_);
  [[nodiscard]] bool is_adaptive(CameraIndex camera) const {
    return cameras_[camera].policy == PolicyKind::kAdaptive;
  }
  /// Tells the dispatch of the lanes up to `lane`, where they are new.
  void add_lanes(LaneIndex lane) REQUIRES(mu_);
  /// Adaptive cameras: has the share follow the fidelity that is to be held.
  void update_share(TimePoint now) REQUIRES(mu_);
  /// Has the shares follow the rates of the cameras, where the budget is one a second.
  void follow_rate(CameraIndex camera, TimePoint captured_at) REQUIRES(mu_);
  /// Says when others get nothing because the budget does not carry the critical cameras.
  void watch_budget(TimePoint now) REQUIRES(mu_);
  /// Moves cameras to other rungs, when a window of the ladder has ended.
  void update_rungs(TimePoint now) REQUIRES(mu_);

  const FrameSchedulerOptions options_;   // its cameras: those of the start
  GrowingList<ScheduledCamera> cameras_;  // synchronizes itself
  DevicePool& pool_;
  const Clock& clock_;

  mutable Mutex mu_;
  CondVar changed_;  ///< something to decide about: for thread_ alone
  /// For those that wait for the end: a camera has ended, or, where is_drain_awaited_, perhaps the
  /// last of its frames. Thousands of frames a second come before, which are none of their
  /// business.
  CondVar settled_;
  bool is_drain_awaited_ GUARDED_BY(mu_) = false;  ///< somebody waits for the last frames now
  TracedDispatch dispatch_ GUARDED_BY(mu_);
  std::optional<BudgetPace> budget_ GUARDED_BY(mu_);  ///< of a budget a second
  std::vector<Mailbox> mailboxes_ GUARDED_BY(mu_);
  std::uint64_t devices_seen_ GUARDED_BY(mu_) = 0;   ///< DevicePool::version()
  std::vector<Size> size_of_model_ GUARDED_BY(mu_);  ///< of the newest picture
  std::uint64_t news_ GUARDED_BY(mu_) = 0;  ///< counts what makes a decision worth repeating
  int changes_ GUARDED_BY(mu_) = 0;         ///< begun and not ended
  bool is_stopped_ GUARDED_BY(mu_) = false;
  DispatchDecision decision_ GUARDED_BY(mu_);  ///< reused from look to look
  double over_budget_told_ GUARDED_BY(mu_) = 0;
  std::optional<TimePoint> budget_quiet_until_ GUARDED_BY(mu_);
  std::thread thread_;  // last member
};

}  // namespace framemill
