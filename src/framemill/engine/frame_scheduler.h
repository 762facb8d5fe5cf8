#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/check.h"
#include "framemill/base/clock.h"
#include "framemill/core/camera.h"
#include "framemill/core/frame.h"
#include "framemill/core/policy.h"
#include "framemill/engine/answer_ledger.h"
#include "framemill/engine/audit_desk.h"
#include "framemill/engine/device_pool.h"
#include "framemill/sched/budget_pace.h"
#include "framemill/sched/dispatch_trace.h"
#include "framemill/sched/inference_policy.h"
#include "framemill/sched/live_dispatch.h"
#include "framemill/sched/service_times.h"

namespace framemill {

class TraceWriter;

/// What a scheduler has to know of a camera.
struct ScheduledCamera {
  AnswerLedger* ledger = nullptr;  ///< outlives the scheduler
  std::size_t model = 0;           ///< index in the DevicePool
  Priority priority = Priority::kNormal;
  PolicyKind policy = PolicyKind::kFull;
  Duration slo{0};
  Duration period{0};   ///< expected between sampled frames; 0: unknown
  double rate_hz = 10;  ///< sampled frames a second, for a budget a second; a guess if not known
  double weight = 1;    ///< of its model, see DispatchCamera
};

struct FrameSchedulerOptions {
  std::vector<ScheduledCamera> cameras;  ///< by CameraIndex
  double inference_share = 1.0;          ///< from the budget, see InferencePolicy
  std::optional<double> adaptive_share;  ///< of the adaptive cameras to begin with, where another
  /// The budget as inferences a second: the shares then follow the rates of the cameras without a
  /// `period`, see BudgetPace.
  std::optional<double> budget_per_second;
  double similarity_min = .95;  ///< policy similarity
  std::size_t knee_frames = 1;  ///< frames to a batch, as far as the lane's model takes them
  bool is_batch_by_utilisation = false;  ///< pace live: `knee_frames` is where it starts
  bool is_slot_reserved = false;         ///< pace live: see LiveDispatchOptions
  /// Pace live: by DeviceIndex, what was measured at the start; their batches_max is the pool's.
  std::vector<DispatchDevice> devices;
  Duration tick = std::chrono::milliseconds(100);  ///< pace fast
  Duration answer_delay{0};                        ///< pace fast, policy adaptive
  /// Pace live: by model, its rungs as indices in the DevicePool, best (the model itself) first;
  /// empty: no model has others.
  std::vector<std::vector<std::size_t>> ladders;
  AuditDesk* audits = nullptr;  ///< outlives the scheduler; null: no audits
  /// Pace live: is told of all that is decided; outlives the scheduler. Null: nobody is.
  TraceWriter* trace = nullptr;
  DispatchRecorder on_dispatch;  ///< likewise; empty: nobody
};

/// How a scheduler stands, for reports.
struct RungStatus {
  std::size_t rung = 0;      ///< 0: the model itself
  std::int64_t changes = 0;  ///< so far
};
struct SchedulerStatus {
  std::size_t batch_frames = 1;   ///< to a batch at most, on the lane that takes most
  std::vector<RungStatus> rungs;  ///< by camera; empty without ladders
  double over_budget = 0;         ///< see TokenBucket::forgiven(); pace live
  /// By camera: need (ADR 6) at arrival, mean of about the last ten sampled frames; empty values
  /// for cameras without; nothing at pace fast.
  std::vector<std::optional<double>> needs;
};

/// Takes sampled frames, decides which are inferred and when, and settles every one of them in its
/// camera's ledger. Thread-safety: offer() and end_camera() from any thread, one per camera.
class FrameScheduler {
 public:
  virtual ~FrameScheduler() = default;
  /// `frame` has entered the camera's ledger and has a picture. May block at pace fast, never live.
  virtual void offer(CameraIndex camera, Frame&& frame) = 0;
  /// The camera will offer no more.
  virtual void end_camera(CameraIndex camera) = 0;
  /// Answers what was offered, for at most `patience`; what is left then ends as `late`. Later
  /// offers are settled at once. Idempotent.
  virtual void stop(Duration patience) = 0;
  /// Returns once all cameras have ended and all their frames are settled (pace fast), or after
  /// stop().
  virtual void wait_until_done() = 0;
  /// Any thread.
  [[nodiscard]] virtual SchedulerStatus status() const { return {}; }
  /// The share that the budget comes to: `by_settings`, or, of a budget a second, by the rates as
  /// they are measured. Any thread.
  [[nodiscard]] virtual double budget_share(double by_settings) const { return by_settings; }

  // Cameras that come and go while the run goes on: at pace live only.
  /// While cameras are exchanged there may be none that goes on: that does not end the run. Each
  /// begin_changes() is followed by an end_changes(); they nest.
  virtual void begin_changes() { CHECK(false); }
  virtual void end_changes() { CHECK(false); }
  /// One more camera; its index is the number of those before it.
  virtual void add_camera(const ScheduledCamera& /*camera*/) { CHECK(false); }
  /// The camera, whose session is quiet, is gone: what waits of it is settled.
  virtual void remove_camera(CameraIndex /*camera*/) { CHECK(false); }
  /// Nothing of a removed camera is at a model any more.
  [[nodiscard]] virtual bool is_idle(CameraIndex /*camera*/) const { return true; }
  /// What the budget comes to, since cameras came or went; see FrameSchedulerOptions.
  virtual void set_shares(double /*inference_share*/, std::optional<double> /*adaptive_share*/) {}
};

/// Adds `camera` to what a budget a second is shared among.
void add_camera(BudgetPace& pace, const ScheduledCamera& camera);
/// Nothing without a budget a second.
[[nodiscard]] std::optional<BudgetPace> budget_pace(const FrameSchedulerOptions& options);

/// What adaptive cameras infer of a budget of `share`: that which holds the fidelity, where one is
/// to be held, else all of it.
[[nodiscard]] double adaptive_share_of(const FrameSchedulerOptions& options, double share);

/// What the policy has to know of `options`.
[[nodiscard]] InferencePolicyOptions policy_options(const FrameSchedulerOptions& options);

/// One frame that came back from a model.
struct InferredFrame {
  InferenceJob job;
  Result<std::vector<Detection>> detections;
  std::shared_ptr<const std::string> variant;
};
/// Takes a batch apart.
[[nodiscard]] std::vector<InferredFrame> take_apart(BatchOutcome&& outcome);

/// Settles `frame`: inferred, or where the backend failed `failed` under policy full and from the
/// state otherwise. Returns what it says of the carried objects, see AnswerLedger.
/// `is_kept_for_audit`: of a cheaper rung, and drawn.
std::optional<Correction> settle_inferred(const ScheduledCamera& camera, InferredFrame&& frame,
                                          bool is_kept_for_audit = false);

/// Settles the frame of `job`, of `camera`, from its state, and has it audited if it is drawn. The
/// job's picture is what an audit would look at; null: it cannot be audited. `audits`: null for
/// none.
void settle_carried(AuditDesk* audits, const ScheduledCamera& camera, LaneIndex lane,
                    InferenceJob job, TimePoint now);

}  // namespace framemill
