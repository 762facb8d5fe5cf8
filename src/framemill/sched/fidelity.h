#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framemill/core/agreement.h"
#include "framemill/core/camera.h"

namespace framemill {

/// Whether there is a figure, and if not, why.
enum class FidelityState : std::uint8_t {
  kKnown,
  kNoFrames,    ///< nothing was sampled yet
  kNoAudits,    ///< answers that are not exact, and none of them audited yet
  kAuditsLost,  ///< over 5 % of the drawn audits never ran: the others are no fair sample
};

/// How well the answers agree with the top rung on the same frames, and how surely that is known.
struct FidelityFigure {
  FidelityState state = FidelityState::kNoFrames;
  // The rest holds with kKnown only.
  double value = 0;           ///< harmonic mean of recall and sure precision, 0..1
  double low = 0, high = 0;   ///< 95 % interval, low <= value <= high
  double recall = 0;          ///< as agreement.py defines it, over all sampled frames
  double sure_precision = 0;  ///< likewise
  std::int64_t audits = 0;    ///< done
  bool is_of_group = false;   ///< the camera has too few audits; this is its group's figure
  friend bool operator==(const FidelityFigure&, const FidelityFigure&) = default;
};

/// Harmonic mean of two ratios; 0 where both are.
[[nodiscard]] double fidelity_of(double recall, double sure_precision);

/// Estimates the fidelity of the answers of one camera, or of several, from audits. Each sampled
/// frame is counted once:
///   exact       inferred by the top rung: right by definition, with so many sure detections
///   inexact     any other answer; those drawn for an audit bring their counts later
///   unanswered  none: what was to be found there is missed
/// Recall and sure precision are those of the sums over all frames: the detections of the exact
/// frames, all right, and those of the inexact ones, estimated as their number times the mean over
/// the audited ones. Where exact frames hold as many objects as others this is "share inferred x 1
/// + rest x that of the audited ones"; where the policy infers the busy frames it is still the
/// figure that agreement.py gives for the run, while the share of frames is not. Unanswered frames
/// are taken to hold as many sure objects as the others do on average. Interval: percentiles 2.5
/// and 97.5 of a bootstrap over the audited frames (Efron, 1979), 1000 resamples, which knows
/// nothing of what no audit has met; so it reaches at least as far as kUnseenAudits more audits of
/// the usual size, all wrong or all right, would move the value: with n audits and no mistake in
/// them, up to 3 / n of the frames may hold one (the rule of three, Hanley and Lippman-Hand, 1983).
/// Past kBinsMax audits neighbours are drawn together, which keeps memory bounded. Deterministic.
/// Not thread-safe. O(1) a frame; figure() about 1 ms.
class FidelityMeter {
 public:
  static constexpr std::size_t kBinsMax = 256;
  static constexpr double kLostShareMax = .05;
  static constexpr double kUnseenAudits = 3;

  /// `sure`: its detections above AgreementThresholds::hi.
  void count_exact(std::int64_t sure);
  void count_inexact() { ++inexact_; }
  void count_unanswered() { ++unanswered_; }

  /// The audit of an inexact frame, top rung against answer. `weight` > 0 is 1 / the probability
  /// with which the frame was drawn (any common factor): frames drawn rarely stand for many.
  void add_audit(const AgreementCounts& counts, double weight = 1);
  /// A drawn audit that never ran.
  void add_lost_audit() { ++lost_; }

  /// Takes over what another one was told; of both together up to kBinsMax audits.
  void merge(const FidelityMeter& other);

  [[nodiscard]] FidelityFigure figure(std::uint64_t seed = 1) const;
  /// The figure's state and values without the interval (low = high = value); O(kBinsMax).
  [[nodiscard]] FidelityFigure point_figure() const;

  [[nodiscard]] std::int64_t audits() const { return audits_; }
  [[nodiscard]] std::int64_t lost_audits() const { return lost_; }
  [[nodiscard]] std::int64_t frames() const { return exact_ + inexact_ + unanswered_; }
  [[nodiscard]] std::int64_t exact_frames() const { return exact_; }

 private:
  /// Sums over audits, each times its weight.
  struct Sums {
    double weight = 0;
    double found = 0, wanted = 0;
    double sure_right = 0, sure_given = 0;
    Sums& operator+=(const Sums& other);
  };
  struct Ratios {
    double recall = 1;
    double sure_precision = 1;
  };
  [[nodiscard]] Ratios ratios_with(const Sums& audited) const;
  [[nodiscard]] Sums total() const;
  /// The value with kUnseenAudits more audits, all right or all wrong. At least one audit.
  [[nodiscard]] double with_unseen(bool is_right) const;

  std::int64_t exact_ = 0;
  std::int64_t inexact_ = 0;
  std::int64_t unanswered_ = 0;
  std::int64_t exact_sure_ = 0;
  std::int64_t audits_ = 0;
  std::int64_t lost_ = 0;
  std::vector<Sums> bins_;
  std::int64_t bin_audits_ = 1;  // audits in a full bin
};

/// What was counted of one camera, or of several, over a whole run and lately: the last kAudits to
/// 2 kAudits audits and the frames since then, so that a drop shows however long all was well.
/// Not thread-safe; O(1) a frame.
class FidelityAccount {
 public:
  static constexpr std::int64_t kAudits = FidelityMeter::kBinsMax / 2;

  /// Has `record` tell a meter of what happened.
  template <typename Record>
  void record(const Record& record);
  [[nodiscard]] const FidelityMeter& whole() const { return whole_; }
  /// Lately. The interval is renewed each eighth more audits only, kAudits / 8 at most, so that
  /// this costs 10 us in the mean and may be asked for each second.
  [[nodiscard]] FidelityFigure recent_figure() const;

 private:
  struct Interval {
    std::int64_t at_audits = -1;
    double below = 0, above = 0;  // the value
  };
  FidelityMeter whole_;
  FidelityMeter before_;   // kAudits audits
  FidelityMeter current_;  // fewer
  mutable Interval interval_;
};

/// The accounts of all cameras, of their groups and of the whole. Not thread-safe.
class FidelityBook {
 public:
  /// From so many audits on a camera shows a figure of its own.
  static constexpr std::int64_t kAuditsOfItsOwn = 150;

  /// The group of each camera.
  explicit FidelityBook(std::span<const std::uint32_t> group_of_camera);

  /// One more camera; its index is the number of those before it.
  void add_camera(std::uint32_t group);
  /// Frees what was known of it alone; its group and the whole keep its part.
  void remove_camera(CameraIndex camera);

  // As the members of FidelityMeter.
  void count_exact(CameraIndex camera, std::int64_t sure);
  void count_inexact(CameraIndex camera);
  void count_unanswered(CameraIndex camera);
  void add_audit(CameraIndex camera, const AgreementCounts& counts, double weight = 1);
  void add_lost_audit(CameraIndex camera);

  [[nodiscard]] FidelityFigure total(std::uint64_t seed = 1) const {
    return total_.whole().figure(seed);
  }
  [[nodiscard]] FidelityFigure of_group(std::uint32_t group, std::uint64_t seed = 1) const;
  /// Its own figure with enough audits, or where all its frames are exact; else its group's. None
  /// before its first frame.
  [[nodiscard]] FidelityFigure of_camera(CameraIndex camera, std::uint64_t seed = 1) const;
  /// Like total() and of_camera(), of late; see FidelityAccount.
  [[nodiscard]] FidelityFigure recent_total() const { return total_.recent_figure(); }
  [[nodiscard]] FidelityFigure recent_of_camera(CameraIndex camera) const;
  [[nodiscard]] const FidelityMeter& total_meter() const { return total_.whole(); }

 private:
  struct Place {
    FidelityAccount account;
    std::uint32_t group = 0;
  };
  template <typename Record>
  void record(CameraIndex camera, Record record);
  [[nodiscard]] static bool has_own_figure(const FidelityMeter& meter);

  std::vector<Place> cameras_;
  std::vector<FidelityAccount> groups_;
  FidelityAccount total_;
};

}  // namespace framemill
