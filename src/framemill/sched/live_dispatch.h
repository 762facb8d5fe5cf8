#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/agreement.h"
#include "framemill/core/camera.h"
#include "framemill/core/object_doubt.h"
#include "framemill/core/policy.h"
#include "framemill/sched/batch_autosizer.h"
#include "framemill/sched/batch_policy.h"
#include "framemill/sched/dispatch_devices.h"
#include "framemill/sched/inference_policy.h"
#include "framemill/sched/ladder_policy.h"
#include "framemill/sched/lane_index.h"
#include "framemill/sched/service_times.h"

namespace framemill {

/// An adaptive frame at a model is answered from the state so long before its deadline.
inline constexpr Duration kGiveUpBefore = std::chrono::milliseconds(5);

struct DispatchCamera {
  PolicyKind policy = PolicyKind::kFull;
  Priority priority = Priority::kNormal;
  Duration slo{0};
  Duration period{0};     ///< expected between sampled frames; 0: to be learned from them
  std::size_t model = 0;  ///< index in `rungs_of_model`
  double weight = 1;      ///< of its model: how often it is served beside a camera of weight 1
};

struct LiveDispatchOptions {
  std::vector<DispatchCamera> cameras;  ///< by CameraIndex; at least one
  InferencePolicyOptions inference;     ///< of the same cameras
  std::size_t batches_max = 1;          ///< in flight at once; throughput peaks there
  std::size_t knee_frames = 1;  ///< frames to a batch, as far as the lane's model takes them
  std::vector<std::size_t> lane_knees;   ///< measured, by LaneIndex; 0 or none: `knee_frames`
  bool is_batch_by_utilisation = false;  ///< `knee_frames` is where it starts
  std::vector<ServiceTimes> lane_times;  ///< measured at start, by LaneIndex
  /// Several devices, in place of `batches_max`, `lane_knees` and `lane_times`; empty: one.
  std::vector<DispatchDevice> devices;
  /// Rungs of each model's ladder; empty: no model has more than one.
  std::vector<std::size_t> rungs_of_model;
  /// A slot is kept for critical cameras at all times, not only where they cannot wait for a batch.
  bool is_slot_reserved = false;
};

/// One sampled frame that came in.
struct ArrivedFrame {
  /// With doubt or similarity, where the camera's policy wants them. Starts are of this frame: that
  /// an earlier one is still owed an inference is the dispatch's to know.
  SampledFrame sampled;
  std::int64_t seq = 0;  ///< names it, with its camera
  TimePoint captured_at;
  LaneIndex lane = 0;                  ///< of rung_of() its camera; known to add_lane()
  std::optional<double> edge_density;  ///< where its model has a ladder
  friend bool operator==(const ArrivedFrame&, const ArrivedFrame&) = default;
};

/// A frame to be answered without inference. Under policy full it has no answer: `superseded`.
struct UnservedFrame {
  CameraIndex camera = 0;
  std::int64_t seq = 0;
  /// No device that has its model serves: under policy full it has `failed`.
  bool is_device_out = false;
  friend bool operator==(const UnservedFrame&, const UnservedFrame&) = default;
};

/// A frame to be sent to a model now.
struct SentFrame {
  CameraIndex camera = 0;
  std::int64_t seq = 0;
  std::uint32_t rung = 0;
  bool is_forced = false;  ///< first frame, scene start, critical camera
  friend bool operator==(const SentFrame&, const SentFrame&) = default;
};

struct DispatchDecision {
  LaneIndex lane = 0;
  DeviceIndex device = 0;        ///< that `batch` goes to
  std::vector<SentFrame> batch;  ///< best first; empty: nothing to send now
  std::vector<UnservedFrame> unserved;
  /// In place of a batch: the audit that has waited longest, see send_audit().
  bool is_audit_wanted = false;
  /// Ask again then, unless something happens before.
  std::optional<TimePoint> wake_at;
  friend bool operator==(const DispatchDecision&, const DispatchDecision&) = default;
};

/// Everything that is decided at pace live about the cameras of a run, as one state machine:
/// which frame waits (one a camera, the newest), what is sent when, to which device and in which
/// batch, which frames are answered from the state, what adaptive cameras may infer, and which rung
/// they use. Engine and simulator tell it what happens and do what it says, so they cannot
/// disagree.
///
/// Per frame: arrive(); decide() then names it at most once in `batch` and, adaptive ones at a
/// model that are given up kGiveUpBefore before the deadline included, at most once in `unserved`,
/// unless arrive() or withdraw() has already given it back. Adaptive frames compete by need: all
/// but a few of the neediest are given back at once, so that those without a chance do not wait;
/// with a budget also those that are worth less than the best of the frames before them, or that
/// find no token.
///
/// One look is: end_period() once a second where a fidelity is held, update_rungs() where
/// is_ladder_due(), then decide(), and again at once after something was sent.
/// Knows neither threads, locks, frames nor clocks: `now` is an argument, and must not go back.
/// Deterministic in the order of calls. Not thread-safe. decide() is O(cameras that wait or are at
/// a model), where batches are worth it O(cameras).
class LiveDispatch {
 public:
  LiveDispatch(LiveDispatchOptions options, TimePoint now);
  LiveDispatch(const LiveDispatch&) = delete;  // its batch policy points into it
  LiveDispatch& operator=(const LiveDispatch&) = delete;

  /// One more camera; its index is the number of those before it.
  void add_camera(const DispatchCamera& camera);
  /// The camera is gone; nothing of it may wait. What is at a model still comes back.
  void remove_camera(CameraIndex camera);
  /// Nothing of the camera waits or is at a model.
  [[nodiscard]] bool is_idle(CameraIndex camera) const;
  /// The share that the budget comes to, 0 < share <= 1; see set_adaptive_share() as well.
  void set_share(double share);

  // Lanes are numbered from 0 in the order of add_lane().
  [[nodiscard]] std::size_t lane_count() const { return devices_.lane_count(); }
  /// `batch_max`: what its model takes at once; `hosts`: the devices that have its model.
  void add_lane(std::size_t batch_max, DeviceSet hosts = kAllDevices);

  /// Whether the device takes batches, and how many frames to one at most. What it had in flight is
  /// completed as ever. Frames that no device can take are given back by the next decide().
  void set_device(TimePoint now, DeviceIndex device, bool is_serving, std::size_t batch_max);
  [[nodiscard]] bool is_serving(DeviceIndex device) const { return devices_.is_serving(device); }

  /// A sampled frame came in, in order per camera. Returns the seq which is to be answered without
  /// inference: of this frame, or of the one that it replaces.
  [[nodiscard]] std::optional<std::int64_t> arrive(const ArrivedFrame& frame, TimePoint now);
  /// Takes the frame that waits, if any, out of its mailbox.
  [[nodiscard]] std::optional<std::int64_t> withdraw(CameraIndex camera);
  /// The camera sends no more.
  void end_camera(CameraIndex camera);

  /// What to do now. A batch counts as sent. `audit`: kDueAudit or kAudit where one waits, else
  /// none; a due one goes before need, the other where nothing else is sent. Overwrites `decision`.
  void decide(TimePoint now, std::optional<InferenceCause> audit, DispatchDecision& decision);
  /// The audit that decide() asked for goes to `lane`, alone; `cause` as it was told then. Returns
  /// the device that it goes to.
  DeviceIndex send_audit(TimePoint now, LaneIndex lane, InferenceCause cause);

  // A batch came back: its frames are claimed and learned from one by one, then complete().
  /// Adaptive: whether frame `seq` still waits for its answer; from here on it is not given up.
  [[nodiscard]] bool claim(CameraIndex camera, std::int64_t seq);
  /// The frame's batch failed, or what it found came too late to be of use. What the frame owed is
  /// owed again. True: it waits once more, since no newer one of its camera does, it has not come
  /// back before, and there is time for an answer; else it is answered without one, or was before.
  /// Adaptive ones are claimed before.
  [[nodiscard]] bool give_back(TimePoint now, CameraIndex camera, std::int64_t seq);
  /// What the model said of the objects carried to a frame.
  void learn(CameraIndex camera, const ObjectDoubt& doubt, const AgreementCounts& counts);
  /// An audit of an answer by `rung`.
  void learn_rung(CameraIndex camera, std::uint32_t rung, const AgreementCounts& counts);
  /// The doubt about the frame that waits, seen anew; without effect where it is no longer `seq`.
  void renew_doubt(CameraIndex camera, std::int64_t seq, const ObjectDoubt& doubt);
  /// Cameras of its frames, audits left out. `service_time`: none where it failed.
  void complete(TimePoint now, LaneIndex lane, std::size_t frames,
                std::span<const CameraIndex> cameras, std::optional<Duration> service_time,
                DeviceIndex device = 0);

  /// Since the last call: which share of the adaptive frames was inferred, where the device was
  /// what limited it.
  [[nodiscard]] std::optional<double> end_period(TimePoint now);
  void set_adaptive_share(double share);

  /// Whether a window of the ladder has ended.
  [[nodiscard]] bool is_ladder_due(TimePoint now) const;
  /// Moves cameras to other rungs where the load of the window asks for it. `lanes[model][rung]`:
  /// none where no picture has come. `share_wanted`: what adaptive cameras are to infer to hold a
  /// fidelity. Returns the changes; valid until the next call.
  std::span<const RungChange> update_rungs(TimePoint now,
                                           std::span<const std::vector<LaneIndex>> lanes,
                                           std::optional<double> share_wanted);

  [[nodiscard]] bool has_ladder() const { return ladder_.has_value(); }
  [[nodiscard]] std::uint32_t rung_of(CameraIndex camera) const;
  [[nodiscard]] std::int64_t rung_changes(CameraIndex camera) const;
  /// Of the device, as the ladder predicts it.
  [[nodiscard]] double occupancy() const { return ladder_ ? ladder_->occupancy() : 0; }
  [[nodiscard]] std::optional<std::int64_t> waiting(CameraIndex camera) const;
  /// Inferences that critical cameras have had beyond the budget; see TokenBucket::forgiven().
  [[nodiscard]] double over_budget() const { return inference_policy_.over_budget(); }
  /// What an inference on a frame of policy adaptive is expected to be worth now, see NeedModel.
  [[nodiscard]] double need(const SampledFrame& sampled) const {
    return inference_policy_.need(sampled);
  }
  [[nodiscard]] std::size_t batches_in_flight() const { return batches_in_flight_; }
  /// Nothing waits, nothing is in flight.
  [[nodiscard]] bool is_drained() const;
  /// Frames to a batch, on the lane that takes most.
  [[nodiscard]] std::size_t knee_max() const;
  [[nodiscard]] const ServiceTimes& times(LaneIndex lane) const { return devices_.times(lane); }
  [[nodiscard]] bool is_adaptive(CameraIndex camera) const {
    return options_.cameras[camera].policy == PolicyKind::kAdaptive;
  }

 private:
  struct Waiting {
    std::int64_t seq = 0;
    TimePoint captured_at;
    TimePoint arrived_at;
    LaneIndex lane = 0;
    std::uint32_t rung = 0;
    SampledFrame sampled;
    double need = 0;           ///< adaptive: need_of(sampled), as it is now
    bool is_returned = false;  ///< by a batch that failed
    bool is_given_up = false;  ///< at a model: it has its answer
  };
  /// An adaptive frame at a model that its answer waits for.
  struct Awaited {
    std::int64_t seq = 0;
    TimePoint give_up_at;
  };
  struct Mailbox {
    std::optional<Waiting> waiting;
    std::size_t in_flight = 0;
    std::vector<Waiting> sent;  ///< of those, should they come back
    std::optional<Awaited> awaited;
    /// Capture time of the frame sent last; of the first frame before any was sent.
    std::optional<TimePoint> served_until;
    bool has_sent = false;        ///< that was a frame sent, of this stream
    std::optional<Duration> gap;  ///< between frames that were sent, smoothed
    LaneIndex lane = 0;
    std::optional<TimePoint> arrived_at;  ///< its last frame
    Duration period{0};                   ///< as configured or learned; 0: not known yet
    bool is_inference_owed = false;       ///< a scene has started and no frame of it was sent yet
    bool is_start_owed = false;           ///< the same for a stream
    std::int64_t stream_seq = 0;          ///< its first frame
    bool is_known = false;                ///< a model has looked at one of its frames
    std::int64_t offered = 0;             ///< in this window of the ladder
    SceneHistory scene;
    std::int64_t rung_changes = 0;
  };
  /// What the adaptive cameras brought and what was inferred, between two looks at the share.
  struct Period {
    TimePoint began_at;
    std::int64_t sampled = 0;
    std::int64_t inferred = 0;
    Duration full{0};  ///< so long all slots were taken
  };

  /// Of kWordBits cameras which hold a frame, bit by camera.
  struct Held {
    std::uint64_t waiting = 0;
    std::uint64_t any = 0;  ///< one that waits or is awaited
  };

  /// Calls `see(camera, mailbox)` for those that hold such a frame, by index.
  template <typename See>
  void for_each_of(std::uint64_t Held::*word, const See& see);
  void update_held(CameraIndex camera);
  /// A frame has come: when the next one will.
  void expect_next(CameraIndex camera, TimePoint now);
  /// Whether a slot is free for an audit, and the budget has what it costs.
  [[nodiscard]] bool has_room_for_audit(std::optional<InferenceCause> cause) const;
  /// Whether a frame that goes before audits could be sent: a first one, a cut, a critical one.
  [[nodiscard]] bool is_forced_waiting();
  /// What nearly every full batch takes on the fastest device that the lane has; 0: not known yet.
  [[nodiscard]] Duration full_batch(LaneIndex lane) const;
  /// What nearly every frame takes that has to wait until one of `slots`, all busy with batches of
  /// `batch`, is free, and is then inferred alone.
  [[nodiscard]] Duration time_without_slot(const ServiceTimes& times, Duration batch,
                                           std::size_t slots) const;
  /// Where a frame of a critical camera may come before a batch that starts now has ended, the last
  /// slot is kept on the devices that have its model: no other one could answer it.
  void update_kept(TimePoint now);
  /// Whether a critical camera's frame may wait for a batch of `lane` that has just begun on its
  /// `hosts`: its answer is in time, the next frame does not take its place, and it is not another
  /// model's batch, longer than its own.
  [[nodiscard]] bool can_wait_for(LaneIndex lane, CameraIndex camera, DeviceSet hosts) const;
  /// Until when the camera's next frame, on one of `hosts`, needs a slot that no batch of `lane`
  /// takes; none: it can wait for one, or is not due.
  [[nodiscard]] std::optional<TimePoint> critical_due_until(CameraIndex camera, DeviceSet hosts,
                                                            LaneIndex lane, TimePoint now) const;
  /// What the batch policy chooses from; fills waiting_ and expected_.
  void gather(TimePoint now, DispatchDecision& decision);
  void send_chosen(TimePoint now, DispatchDecision& decision);
  static void note_served(Mailbox& mailbox, TimePoint captured_at);
  /// Since when a camera counts as not served; see kGapMemory.
  [[nodiscard]] static TimePoint stale_since(const Mailbox& mailbox, TimePoint now);
  /// What the answer of a frame takes at least, once it is sent: short of that it is given up.
  /// Nearly always; for critical cameras, worth one more try, as in choose_batch() at best.
  [[nodiscard]] Duration least_time(CameraIndex camera, LaneIndex lane) const;
  /// Gives up on frames that a batch of their camera is ahead of, which the policy does not see,
  /// once they can no longer follow it in time, and on adaptive frames that must not wait longer;
  /// fills by_need_ with those that still do.
  void give_up_late(TimePoint now, DispatchDecision& decision);
  /// Adaptive frames with no chance against those that wait beside them.
  void give_up_needless(DispatchDecision& decision);
  void give_up(CameraIndex camera, DispatchDecision& decision);
  /// The newest of what still waits or comes next owes what `sent` did not bring.
  void owe_again(CameraIndex camera, const Waiting& sent);
  /// One adaptive frame of a camera at a time: what it brings decides about the next.
  [[nodiscard]] std::size_t in_flight_limit(CameraIndex camera) const {
    return is_adaptive(camera) ? 1 : in_flight_per_camera_;
  }
  /// `batch: utilisation`: reads the device's utilisation, and has the knees follow it.
  void update_batch(TimePoint now);
  void begin_batch(TimePoint now, DeviceIndex device, LaneIndex lane, std::size_t frames);
  /// A batch starts (+1) or has ended (-1).
  void count_batch(TimePoint now, int change);
  /// Inferences a second that the camera would have with capacity to spare.
  [[nodiscard]] double demand_of(CameraIndex camera, Duration window,
                                 std::optional<double> share_wanted) const;
  /// Seconds of a slot that an inference takes.
  [[nodiscard]] double cost_s(const ServiceTimes& times, LaneIndex lane) const;
  /// By rung of `model`, what an inference costs now; 0 where nothing was measured.
  void update_costs(std::size_t model, std::span<const LaneIndex> lanes);
  [[nodiscard]] double need_of(const SampledFrame& sampled) const;
  /// After anything of the camera that need_of() depends on has changed. What all cameras have
  /// learned since does not renew it: it moves little in the period that a frame waits.
  void renew_need(CameraIndex camera);
  /// With a budget: whether an adaptive frame is worth a token that there is, beside those that
  /// came lately. Nothing waits for one: an answer that is carried has no reason to come late.
  [[nodiscard]] bool is_worth_a_token(const SampledFrame& sampled);

  void update_camera_count();

  LiveDispatchOptions options_;  // cameras may be added
  std::size_t camera_count_;     ///< without those that were removed
  std::size_t in_flight_per_camera_;
  std::vector<Mailbox> mailboxes_;
  std::vector<Held> held_;
  std::vector<TimePoint> next_arrival_;  ///< by camera, expected; max(): none, or not known
  bool has_only_full_ = true;            ///< no camera of another policy has ever been here
  InferencePolicy inference_policy_;
  DispatchDevices devices_;
  std::size_t batches_in_flight_ = 0;
  BatchPolicy policy_;
  std::optional<UtilisationSizer> sizer_;
  TimePoint utilisation_since_;  ///< of the reading to come
  TimePoint busy_until_;         ///< up to here it is in busy_
  Duration busy_{0};             ///< summed over the slots
  std::optional<LadderPolicy> ladder_;
  TimePoint window_since_;                    ///< of the ladder
  std::vector<std::size_t> sent_of_lane_;     ///< inferences in the window
  std::vector<double> slowdown_;              ///< by model, since it was measured
  std::vector<std::vector<Duration>> costs_;  ///< by model and rung
  std::vector<RungChange> rung_changes_;
  std::optional<TimePoint> full_since_;  ///< all slots are taken
  Period period_;
  // Reused from decision to decision.
  std::vector<WaitingFrame> waiting_;
  std::vector<ExpectedArrival> expected_;
  BatchDecision chosen_;
  std::vector<std::pair<double, CameraIndex>> by_need_;
  std::deque<double> recent_worths_;  ///< of adaptive frames, where there is a budget
  std::size_t adaptive_count_ = 0;
  std::vector<CameraIndex> critical_;  ///< those that are there
  // As the present decision takes it, by lane: the devices that its frames leave to critical
  // cameras, and until when.
  std::vector<DeviceSet> kept_;
  std::vector<TimePoint> kept_until_;
  DeviceSet kept_any_ = 0;  ///< by any lane
};

}  // namespace framemill
