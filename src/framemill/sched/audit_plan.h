#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/camera.h"
#include "framemill/core/policy.h"

namespace framemill {

struct AuditOptions {
  /// Of all inferences of the audited cameras, audits included; 0..0.5, 0: no audits.
  double share = .05;
  Duration wait_max = std::chrono::seconds(2);   ///< a drawn audit starts by then or is lost
  Duration due_after = std::chrono::seconds(1);  ///< then it goes before need
  std::size_t waiting_max = 64;                  ///< each of them keeps a picture; >= 1
  /// Expected share of the frames that are inferred; for the draws before anything is known.
  double first_share_inferred = .2;
  std::uint64_t seed = 1;
};

/// A drawn answer that waits for the top rung to look at its frame.
struct WaitingAudit {
  CameraIndex camera = 0;
  std::int64_t seq = 0;
  TimePoint drawn_at;
  double weight = 1;     ///< 1 / the probability of its draw; for FidelityMeter::add_audit()
  bool is_held = false;  ///< see AuditPlan::hold()
  friend bool operator==(const WaitingAudit&, const WaitingAudit&) = default;
};

/// Draws at random which inexact answers (propagated, reused, or inferred by a cheaper rung) are
/// audited, and keeps them until they run. Only cameras of policy adaptive are audited, and only
/// their inferences count: what those of other policies infer says nothing of how many audits the
/// answers of these need.
///
/// No bias: whether an answer is drawn depends on a hash of (seed, camera, seq) and on a
/// probability which is the same for all cameras and constant through a period, so neither on need
/// nor on how busy the device is. The probability follows the load from period to period, such that
/// audits make up `share` of those inferences in the long run; `weight` makes up for that, so that
/// frames of a rush (few draws) count as much as those of a calm hour. What is drawn is not dropped
/// because others are in a hurry: past `due_after` it has precedence over need
/// (InferenceCause::kDueAudit). Only where it can't start within `wait_max`, or the queue is full,
/// it is lost, and is counted. Calls within a period may come in any order: the draws stay the
/// same. Deterministic. Not thread-safe; O(1).
class AuditPlan {
 public:
  enum class Verdict {
    kNotDrawn,
    kDrawn,  ///< waits now: the caller keeps its picture and answer
    kLost,   ///< drawn, but the queue is full
  };

  explicit AuditPlan(const AuditOptions& options);

  [[nodiscard]] static bool is_audited(PolicyKind policy) {
    return policy == PolicyKind::kAdaptive;
  }
  /// One more camera; its index is the number of those before it.
  void add_camera(PolicyKind policy) { is_audited_.push_back(is_audited(policy)); }
  [[nodiscard]] bool is_audited(CameraIndex camera) const { return is_audited_[camera]; }

  /// An inference of `camera` which is no audit has started.
  void count_inference(CameraIndex camera) { period_.inferences += is_audited(camera) ? 1 : 0; }
  /// An inexact answer of `camera` was published. Each once.
  [[nodiscard]] Verdict consider(CameraIndex camera, std::int64_t seq, TimePoint now);
  /// A drawn audit is held back, since its answer is not published yet, until release(); without
  /// effect on one that does not wait.
  void hold(CameraIndex camera, std::int64_t seq);
  void release(CameraIndex camera, std::int64_t seq);
  /// Removes a drawn audit, of an answer that there was not after all; as hold().
  void drop(CameraIndex camera, std::int64_t seq);
  /// Begins the next period: four times a second of (media) time, or each few ticks.
  void begin_period();

  /// The audit that has waited longest of those that are not held back, if any.
  [[nodiscard]] const WaitingAudit* front() const;
  /// Whether it has to go before need now.
  [[nodiscard]] bool is_due(TimePoint now) const;
  /// Takes that audit, to run it. Requires front() != nullptr.
  WaitingAudit take();
  /// Removes those which have waited for more than `wait_max`, adding them to `lost`.
  void expire(TimePoint now, std::vector<WaitingAudit>& lost);
  /// When expire() will next have something to remove.
  [[nodiscard]] std::optional<TimePoint> next_expiry() const;

  [[nodiscard]] double probability() const { return probability_; }
  /// Those that are not held back.
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] std::int64_t drawn() const { return drawn_; }
  [[nodiscard]] std::int64_t lost() const { return lost_; }

 private:
  [[nodiscard]] std::deque<WaitingAudit>::iterator find(CameraIndex camera, std::int64_t seq);

  struct Rates {
    double inferences = 0;
    double inexact = 0;
  };

  const AuditOptions options_;
  const double audits_per_inference_;  // of those which are no audits
  double probability_;
  std::vector<bool> is_audited_;  // by camera
  Rates period_;                  // counts of this one
  std::int64_t period_drawn_ = 0;
  Rates recent_;        // smoothed over periods
  double known_ = 0;    // smoothed likewise: the weight of what has been seen, up to 1
  double backlog_ = 0;  // draws that the inferences so far allow, less those made
  std::int64_t drawn_ = 0;
  std::int64_t lost_ = 0;
  std::deque<WaitingAudit> waiting_;  // oldest first
};

}  // namespace framemill
