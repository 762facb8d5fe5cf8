#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "framemill/core/agreement.h"
#include "framemill/sched/fidelity.h"

namespace framemill {

struct FidelityControllerOptions {
  double target = .98;     ///< fidelity to hold; 0 < target <= 1
  double share_min = .02;  ///< 0 < share_min <= share_max
  double share_max = 1;    ///< of the sampled frames: the budget; <= 1
};

/// Holds a fidelity by shifting the share of the sampled frames that are inferred.
///
/// Model: what is lost grows with the age of the carried boxes, so at share s
///     1 - fidelity = k x (1 / s - 1),
/// where k says how fast the scenes go on. (Boxes carried by flow lose .026 at .20 and .056 at .10:
/// k = .0065 and .0062.) k comes from two sources:
/// - every inference, which shows how wrong the carried boxes were at their age: quick, but the
///   policy infers where need is highest, so it is no fair sample;
/// - the audits, a fair sample, but few: each kWindowAudits of them correct the first by a factor.
/// The fidelity it reports is that of the audits alone.
///
/// Beside a ladder: answers by cheaper rungs lose on top of that, whatever the share,
///     1 - fidelity = r + k x (1 / s - 1),    r = inferences by cheaper rungs x what one loses,
/// and r is told apart by the audits of inferred answers; as long as they are few, a window that
/// cheaper rungs took part in says little of k. share() makes up for r as far as more inference
/// can, and at most until r has taken three quarters of what may be lost; share_wanted(), which the
/// ladder takes for what is asked of the device, leaves it out. Else each would feed the other:
/// cheaper rungs lower the fidelity, so more inference is wanted, so the device counts as fuller,
/// so rungs become cheaper, and never better again.
///
/// Hysteresis: the share stays while the one
/// wanted is within 10 % of it; else it goes there, by at most a quarter up or a twentieth down
/// each second, since too little shows in the answers and too much only in the bill. Deterministic
/// in the order of calls. Not thread-safe. O(1), each kWindowAudits audits ~1 ms.
class FidelityController {
 public:
  /// Audits to a window; as many as a figure of a camera's own needs.
  static constexpr std::int64_t kWindowAudits = FidelityBook::kAuditsOfItsOwn;

  enum class State : std::uint8_t {
    kLearning,    ///< no window of audits is complete yet
    kHolding,     ///< at the target, or on the way there with room to move
    kOverBudget,  ///< surely below the target with all that `share_max` allows
    kNoCapacity,  ///< surely below the target, and the device does not manage the share asked for,
                  ///< or not by the best rung
    kAuditsLost,  ///< too many audits of the last window never ran: nothing is known of it
  };

  explicit FidelityController(const FidelityControllerOptions& options);

  // What was inferred before the most fell is inferred again as soon as it rises, as far as it is
  // still wanted: the most may have been low for a moment, such as until the rate of a new camera
  // is known.
  /// The budget changes, since cameras came or went: 0 < share_min <= share_max <= 1.
  void set_bounds(double share_min, double share_max);
  /// What the budget allows is another, since frames come faster or slower than thought; a share
  /// that has to be inferred at the least gives way. 0 < share_max <= 1.
  void set_share_max(double share_max);

  // The sampled frames and audits, as for FidelityMeter. `is_inferred`: by a cheaper rung, on that
  // very frame.
  void count_exact(std::int64_t sure);
  void count_inexact(bool is_inferred = false);
  void count_unanswered();
  void add_audit(const AgreementCounts& counts, double weight = 1, bool is_inferred = false);
  void add_lost_audit();

  /// An inference found the boxes carried to its frame, `age` sampled frames old (>= 1), to agree
  /// with it so far.
  void learn(const AgreementCounts& counts, double age);

  /// Once a second of (media) time. `share_managed`: what the device could infer at most of the
  /// frames sampled in that second, if that was the limit. Returns share().
  double update(std::optional<double> share_managed = std::nullopt);

  /// What to infer of the sampled frames; share_min..share_max.
  [[nodiscard]] double share() const;
  /// The share that would hold the target by the best rung, whatever the budget; 0..1. As steady
  /// as share().
  [[nodiscard]] double share_wanted() const { return share_wanted_; }
  /// What the answers lose since cheaper rungs give them, at present; 0 without a ladder.
  [[nodiscard]] double rung_loss() const;
  [[nodiscard]] State state() const { return state_; }
  /// Of the last complete window of audits of which not too many were lost.
  [[nodiscard]] const FidelityFigure& figure() const { return figure_; }
  /// State and reason in a sentence, for logs and the dashboard.
  [[nodiscard]] std::string explanation() const;

 private:
  [[nodiscard]] bool is_window_complete() const;
  void close_window();
  /// By what a window of audits says.
  void judge(const FidelityFigure& figure);
  [[nodiscard]] double speed_seen() const;  // k from inferences alone

  [[nodiscard]] double share_min() const;
  /// The share with which what is lost by age stays within `room`.
  [[nodiscard]] double share_for(double room) const;
  [[nodiscard]] double loss_of_cheaper() const;

  FidelityControllerOptions options_;  // the bounds may change; the least may be above the most
  double share_;                       // may lie above the most
  double share_wanted_;
  State state_ = State::kLearning;

  // Sums over inferences, older ones counting less.
  double found_ = 0, wanted_ = 0, sure_right_ = 0, sure_given_ = 0, aged_ = 0;
  double correction_ = 1;  // factor from the audits

  // Audits of answers inferred by cheaper rungs, older ones counting less.
  double cheaper_found_ = 0, cheaper_wanted_ = 0, cheaper_right_ = 0, cheaper_given_ = 0;
  double cheaper_part_ = 0;           // of the inferences, smoothed over seconds
  std::int64_t second_inferred_ = 0;  // frames, by any rung
  std::int64_t second_cheaper_ = 0;

  FidelityMeter window_;
  std::int64_t window_inferred_ = 0;  // frames, by any rung
  std::int64_t window_cheaper_ = 0;   // of them, by cheaper ones
  double window_speed_ = 0;           // sum of speed_seen() over its seconds
  std::int64_t window_seconds_ = 0;
  std::int64_t seconds_at_most_ = 0;  // of them, with the share at share_max
  std::int64_t seconds_short_ = 0;    // of them, with a device that was not enough
  FidelityFigure figure_;
};

}  // namespace framemill
