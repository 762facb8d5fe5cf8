#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/engine/frame_scheduler.h"
#include "framemill/sched/batch_autosizer.h"
#include "framemill/sched/batch_policy.h"
#include "framemill/sched/inference_policy.h"
#include "framemill/sched/ladder_policy.h"

namespace framemill {

/// Pace live: each camera has a mailbox for its newest frame, and one thread asks the batch policy
/// what to send whenever a frame arrives, a batch completes or a timer ends. A frame that a newer
/// one replaces ends as `superseded` under policy full, and is answered from the camera's state
/// under the others. One that cannot be inferred by its deadline is answered from the state, and
/// under full late, where there is capacity to spare.
///
/// Adaptive frames compete by need. All but a few of the neediest are answered from the state at
/// once, so that those which have no chance do not wait for it. One that is at a model is answered
/// from the state kGiveUpBefore before its deadline; its result then only corrects the state.
class LiveScheduler final : public FrameScheduler {
 public:
  LiveScheduler(FrameSchedulerOptions options, DetectorPool& pool, const Clock& clock);
  ~LiveScheduler() override;

  void offer(CameraIndex camera, Frame&& frame) override EXCLUDES(mu_);
  void end_camera(CameraIndex camera) override EXCLUDES(mu_);
  void stop(Duration patience) override EXCLUDES(mu_);
  void wait_until_done() override EXCLUDES(mu_);
  [[nodiscard]] SchedulerStatus status() const override EXCLUDES(mu_);

 private:
  struct Waiting {
    Frame frame;
    LaneIndex lane = 0;        ///< of the camera's rung
    LaneIndex audit_lane = 0;  ///< of the best rung
    std::uint32_t rung = 0;
    TimePoint arrived_at;
    SampledFrame sampled;
  };
  /// An adaptive frame at a model that its answer waits for.
  struct Awaited {
    TimePoint give_up_at;
    LaneIndex audit_lane = 0;
    InferenceJob job;  ///< as it was sent: given up, it may be audited
  };
  struct Mailbox {
    std::optional<Waiting> waiting;
    std::size_t in_flight = 0;
    std::optional<Awaited> awaited;
    std::optional<TimePoint> served_until;
    std::optional<TimePoint> next_arrival;
    LaneIndex lane = 0;
    bool is_inference_owed = false;  ///< a scene has started and no frame of it was sent yet
    bool is_start_owed = false;      ///< the same for a stream
    bool has_ended = false;
    std::int64_t offered = 0;  ///< in this window of the ladder
    SceneHistory scene;
    std::int64_t rung_changes = 0;
  };
  /// A frame taken out of its mailbox without inference, to be settled without the lock.
  struct Unserved {
    LaneIndex audit_lane = 0;
    InferenceJob job;  ///< what was not run
  };
  /// What the adaptive cameras brought and what was inferred, between two looks at the share.
  struct Period {
    TimePoint began_at;
    std::int64_t sampled = 0;
    std::int64_t inferred = 0;
    Duration full{0};  ///< so long all slots were taken
  };
  [[nodiscard]] static Unserved unserved_of(CameraIndex camera, Waiting&& waiting);

  void run() EXCLUDES(mu_);
  /// One look at the mailboxes: fills what to send and what to settle; returns when to look again.
  std::optional<TimePoint> decide(std::vector<InferenceJob>& jobs, LaneIndex& lane,
                                  std::vector<Unserved>& unserved) REQUIRES(mu_);
  /// The frames which the policy does not see, because a batch of their camera is in flight: gives
  /// up on those that can no longer follow it in time.
  void give_up_behind_batches(TimePoint now, std::vector<Unserved>& unserved,
                              std::optional<TimePoint>& wake_at) REQUIRES(mu_);
  void on_batch_done(LaneIndex lane, BatchOutcome&& outcome) EXCLUDES(mu_);
  /// Answers adaptive frames from the state that must not wait longer.
  void give_up_overdue(TimePoint now, std::vector<Unserved>& unserved,
                       std::optional<TimePoint>& wake_at) REQUIRES(mu_);
  /// Adaptive frames with no chance against those that wait beside them.
  void give_up_needless(std::vector<Unserved>& unserved) REQUIRES(mu_);
  void settle_unserved(Unserved&& unserved);
  /// Sends an audit that is at least so urgent, if a slot is free and the budget allows it.
  void take_audit(TimePoint now, AuditDesk::Urgency least, std::vector<InferenceJob>& jobs,
                  LaneIndex& lane) REQUIRES(mu_);
  /// The doubt about the frame that waits in `camera`'s mailbox, once all before it are settled.
  void look_again(CameraIndex camera) EXCLUDES(mu_);
  [[nodiscard]] bool is_adaptive(CameraIndex camera) const {
    return options_.cameras[camera].policy == PolicyKind::kAdaptive;
  }
  /// One adaptive frame of a camera at a time: what it brings decides about the next.
  [[nodiscard]] std::size_t in_flight_limit(std::size_t camera) const {
    return is_adaptive(static_cast<CameraIndex>(camera)) ? 1 : in_flight_per_camera_;
  }
  /// Adaptive cameras: has the share follow the fidelity that is to be held.
  void update_share(TimePoint now) REQUIRES(mu_);
  /// Times and knee of `lane`, where it is a new one.
  void add_lane(LaneIndex lane) REQUIRES(mu_);
  [[nodiscard]] std::size_t knee_max() const REQUIRES(mu_);
  /// `batch: utilisation`: reads the device's utilisation, and has the knees follow it.
  void update_batch(TimePoint now) REQUIRES(mu_);
  /// A batch starts (+1) or has ended (-1).
  void count_batch(TimePoint now, int change) REQUIRES(mu_);
  /// Moves cameras to other rungs where the load of the last window asks for it.
  void update_rungs(TimePoint now, std::optional<TimePoint>& wake_at) REQUIRES(mu_);
  /// Inferences a second that the camera would have with capacity to spare.
  [[nodiscard]] double demand_of(std::size_t camera, Duration window) const REQUIRES(mu_);
  /// Seconds of a slot that an inference takes.
  [[nodiscard]] double cost_s(const ServiceTimes& times, LaneIndex lane) const REQUIRES(mu_);
  /// By rung of `model`, what an inference costs now; 0 where nothing was measured.
  void update_costs(std::size_t model) REQUIRES(mu_);
  [[nodiscard]] double need_of(const SampledFrame& sampled) const REQUIRES(mu_);
  [[nodiscard]] bool is_drained() const REQUIRES(mu_);

  const FrameSchedulerOptions options_;
  DetectorPool& pool_;
  const Clock& clock_;
  const std::size_t in_flight_per_camera_;

  mutable Mutex mu_;
  CondVar changed_;
  std::vector<Mailbox> mailboxes_ GUARDED_BY(mu_);
  InferencePolicy inference_policy_ GUARDED_BY(mu_);
  std::vector<ServiceTimes> times_ GUARDED_BY(mu_);    ///< by lane
  std::deque<TimePoint> batches_due_ GUARDED_BY(mu_);  ///< in flight, when each should end
  std::size_t batches_in_flight_ GUARDED_BY(mu_) = 0;
  std::vector<std::size_t> knees_ GUARDED_BY(mu_);  ///< by lane
  BatchPolicy policy_ GUARDED_BY(mu_);
  std::optional<UtilisationSizer> sizer_ GUARDED_BY(mu_);
  TimePoint utilisation_since_ GUARDED_BY(mu_);  ///< of the reading to come
  TimePoint busy_until_ GUARDED_BY(mu_);         ///< up to here it is in busy_
  Duration busy_ GUARDED_BY(mu_){0};             ///< summed over the slots
  std::optional<LadderPolicy> ladder_ GUARDED_BY(mu_);
  TimePoint window_since_ GUARDED_BY(mu_);                    ///< of the ladder
  std::vector<std::size_t> sent_of_lane_ GUARDED_BY(mu_);     ///< inferences in the window
  std::vector<Size> size_of_model_ GUARDED_BY(mu_);           ///< of the newest picture
  std::vector<double> slowdown_ GUARDED_BY(mu_);              ///< by model, since it was measured
  std::vector<std::vector<Duration>> costs_ GUARDED_BY(mu_);  ///< by model and rung
  std::optional<TimePoint> full_since_ GUARDED_BY(mu_);       ///< all slots are taken
  Period period_ GUARDED_BY(mu_);
  std::uint64_t news_ GUARDED_BY(mu_) = 0;  ///< counts what makes a decision worth repeating
  bool is_stopped_ GUARDED_BY(mu_) = false;
  // Reused from decision to decision; used by thread_ only.
  std::vector<WaitingFrame> waiting_;
  std::vector<ExpectedArrival> expected_;
  BatchScratch scratch_;
  BatchDecision decision_;
  std::vector<std::pair<double, CameraIndex>> by_need_;
  std::thread thread_;  // last member
};

}  // namespace framemill
