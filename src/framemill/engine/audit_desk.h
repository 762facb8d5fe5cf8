#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/growing_list.h"
#include "framemill/base/mutex.h"
#include "framemill/core/answer.h"
#include "framemill/core/policy.h"
#include "framemill/engine/answer_ledger.h"
#include "framemill/engine/detector_pool.h"
#include "framemill/sched/audit_plan.h"
#include "framemill/sched/fidelity.h"
#include "framemill/sched/fidelity_controller.h"

namespace framemill {

/// How a fidelity that is to be held stands.
struct FidelityTargetReport {
  double target = 0;
  FidelityController::State state = FidelityController::State::kLearning;
  FidelityFigure figure;    ///< of the last complete window of audits
  double share = 0;         ///< of the sampled frames, as they are inferred now
  double share_wanted = 0;  ///< what would hold it by the best rung, whatever the budget
  std::string explanation;  ///< for people
};

/// Draws answers that were given without inference for audits, keeps their pictures until a model
/// has looked at them, and gathers what that says about the fidelity of all answers. Cameras of
/// other policies than adaptive are not audited and do not count. With a fidelity to hold it also
/// says, once a second, which share of the frames that takes.
/// Thread-safety: all members, any thread.
class AuditDesk {
 public:
  struct Camera {
    AnswerLedger* ledger = nullptr;         ///< outlives the desk
    PolicyKind policy = PolicyKind::kFull;  ///< adaptive ones are audited, see AuditPlan
    std::uint32_t group = 0;                ///< whose figure it shows while its own audits are few
  };
  AuditDesk(const std::vector<Camera>& cameras, const AuditOptions& options,
            const std::optional<FidelityControllerOptions>& target = std::nullopt);

  /// One more camera; its index is the number of those before it.
  void add_camera(const Camera& camera) EXCLUDES(mu_);
  /// No audit of the camera waits or runs; those that do are over within some seconds.
  [[nodiscard]] bool is_idle(CameraIndex camera) const EXCLUDES(mu_);
  /// The camera is gone: frees what is known of it alone.
  void remove_camera(CameraIndex camera) EXCLUDES(mu_);

  /// Settles a frame of `camera` from its state (AnswerLedger::settle_carried), and keeps its
  /// picture where it is drawn. `job` says what an audit would run.
  void settle_carried(LaneIndex lane, InferenceJob job, TimePoint now) EXCLUDES(mu_);

  /// Whether the answer that `job` brought, inferred by a cheaper rung, is drawn for an audit on
  /// `lane`; the ledger then has to keep it. Once for each.
  [[nodiscard]] bool draw_inferred(LaneIndex lane, InferenceJob job, TimePoint now) EXCLUDES(mu_);

  /// What was published; called for each answer of each camera. Only from then on its audit may
  /// run: before, there is nothing to hold what it finds against.
  void count_answer(const Answer& answer) EXCLUDES(mu_);
  /// An inference on a frame of `camera`, that is no audit, has started; see AuditPlan.
  void count_inference(CameraIndex camera) EXCLUDES(mu_);
  /// Drops audits that have waited too long, and renews the draw's probability four times a second.
  void tick(TimePoint now) EXCLUDES(mu_);

  /// Whether an audit waits, and must go before need.
  enum class Urgency : std::uint8_t { kNone, kWaiting, kDue };
  [[nodiscard]] Urgency urgency(TimePoint now) const EXCLUDES(mu_);
  [[nodiscard]] std::size_t waiting() const EXCLUDES(mu_);
  /// The audit that has waited longest; nothing where urgency() is kNone.
  [[nodiscard]] std::optional<std::pair<LaneIndex, InferenceJob>> take() EXCLUDES(mu_);
  /// A taken audit has come back, from `variant`. Returns how good the answer was, where that is
  /// known.
  std::optional<AgreementCounts> settle(InferenceJob&& job,
                                        Result<std::vector<Detection>>&& detections,
                                        std::shared_ptr<const std::string> variant = nullptr)
      EXCLUDES(mu_);
  /// Lets go of those that wait: the run ends. They are not counted as lost.
  void close() EXCLUDES(mu_);

  /// What an inference that is no audit said of the boxes carried to its frame.
  void learn(const Correction& correction) EXCLUDES(mu_);
  /// Whether a second has passed since the last update_share(); never without a fidelity to hold.
  /// `now` is media time at pace fast.
  [[nodiscard]] bool is_share_due(TimePoint now) const EXCLUDES(mu_);
  /// The share of the sampled frames to infer from now on. `share_managed`: what the device could
  /// do since the last time, where it was the limit. Logs whenever the target begins or ceases to
  /// hold.
  [[nodiscard]] double update_share(TimePoint now, std::optional<double> share_managed)
      EXCLUDES(mu_);

  /// As FidelityController::set_bounds(); without effect where no fidelity is to be held.
  void set_share_bounds(double share_min, double share_max) EXCLUDES(mu_);

  /// As FidelityController::set_share_max(); returns the share to infer from now on, or nothing
  /// where no fidelity is to be held.
  std::optional<double> set_share_max(double share_max) EXCLUDES(mu_);

  /// The share that would hold the fidelity, whatever the budget; empty without one to hold.
  [[nodiscard]] std::optional<double> share_wanted() const EXCLUDES(mu_);

  /// Of late, see FidelityAccount: for each second, and for alarms.
  [[nodiscard]] FidelityFigure recent_total() const EXCLUDES(mu_);
  [[nodiscard]] FidelityFigure recent_of_camera(CameraIndex camera) const EXCLUDES(mu_);
  /// Of the whole run so far; a millisecond each.
  [[nodiscard]] FidelityFigure total() const EXCLUDES(mu_);
  [[nodiscard]] FidelityFigure of_camera(CameraIndex camera) const EXCLUDES(mu_);
  /// Empty without a fidelity to hold.
  [[nodiscard]] std::optional<FidelityTargetReport> target() const EXCLUDES(mu_);

 private:
  using Key = std::pair<CameraIndex, std::int64_t>;  // camera, seq
  struct Waiting {
    LaneIndex lane = 0;
    InferenceJob job;
  };

  bool draw(LaneIndex lane, InferenceJob&& job, TimePoint now) EXCLUDES(mu_);
  void count_lost(CameraIndex camera) REQUIRES(mu_);

  /// Without the desk's lock, which its slow work holds: most answers of most sites are of cameras
  /// that are not. The list's own is held for one look.
  [[nodiscard]] bool is_audited(CameraIndex camera) const {
    return AuditPlan::is_audited(cameras_[camera].policy);
  }

  GrowingList<Camera> cameras_;  // synchronizes itself
  const double target_;          ///< the fidelity to hold, if any
  mutable Mutex mu_;
  AuditPlan plan_ GUARDED_BY(mu_);
  FidelityBook book_ GUARDED_BY(mu_);
  std::map<Key, Waiting> waiting_ GUARDED_BY(mu_);
  std::map<Key, double> running_ GUARDED_BY(mu_);  ///< the weight of each draw
  std::optional<TimePoint> period_ends_at_ GUARDED_BY(mu_);
  std::optional<FidelityController> controller_ GUARDED_BY(mu_);
  std::optional<TimePoint> share_due_at_ GUARDED_BY(mu_);
  std::optional<TimePoint> learning_since_ GUARDED_BY(mu_);
  FidelityController::State told_ GUARDED_BY(mu_) = FidelityController::State::kLearning;
  bool is_delay_told_ GUARDED_BY(mu_) = false;
  bool is_closed_ GUARDED_BY(mu_) = false;
};

}  // namespace framemill
