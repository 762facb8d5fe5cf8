#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>

#include "framemill/base/clock.h"
#include "framemill/sched/service_times.h"

namespace framemill {

/// A doubling of the batch is worth it from this gain in throughput on.
inline constexpr double kKneeGainMin = .05;

/// The knee of a device: going up the batch buckets 1, 2, 4, ..., the last one before a doubling
/// gains less than 5 % throughput (frames over time). `time_of_bucket[i]` is what a batch of
/// kBatchBuckets[i] takes; the sweep ends with the list, or at a time that is not > 0 (not
/// measured). 1 without any. Later gains beyond a step that was not worth it are not looked for:
/// the latency would have grown fourfold by then. Pure, any thread.
[[nodiscard]] std::size_t knee_frames(std::span<const Duration> time_of_bucket);
/// The same from what was learned online (means). Buckets never seen are scaled in `times`, so they
/// show no gain: the knee is never above the largest bucket tried.
[[nodiscard]] std::size_t knee_frames(const ServiceTimes& times);

/// Finds the knee on a machine that does other work as well: a doubling counts only where it gains
/// in each of two measurements of both sizes, taken in turn (1 2, 1 2, 4, 2 4, ...), since one
/// alone shows a gain by chance, and each larger batch costs memory and latency. Ask next(),
/// measure, record(), until next() has none. Not thread-safe; O(1).
class KneeSearch {
 public:
  /// `frames_max` >= 1: the largest batch to try.
  explicit KneeSearch(std::size_t frames_max);
  /// The batch whose time is wanted; none: the knee is found.
  [[nodiscard]] std::optional<std::size_t> next() const;
  /// What a batch of *next() took; > 0.
  void record(Duration time);
  /// Nothing more is measured (no time, no memory): what has not gained twice does not count.
  void stop() { is_over_ = true; }
  /// So far; one of kBatchBuckets.
  [[nodiscard]] std::size_t knee() const { return kBatchBuckets[knee_]; }

 private:
  const std::size_t frames_max_;
  std::size_t knee_ = 0;      // index in kBatchBuckets
  Duration time_of_knee_{0};  // the latest; 0: wanted next
  std::size_t gains_ = 0;     // of the next doubling, so far
  bool is_over_ = false;
};

/// The usual recipe: a larger batch while the device has room, a smaller one when it is nearly
/// full.
struct UtilisationRule {
  std::size_t frames_min = 1;  ///< >= 1
  std::size_t frames_max = 32;
  std::size_t step = 2;
  double grow_below = .5;                    ///< mean utilisation, 0..1
  double shrink_above = .8;                  ///< above `grow_below`
  std::size_t readings = 10;                 ///< in the mean, the last ones; >= 1
  Duration every = std::chrono::seconds(5);  ///< between changes
};

/// Sets the batch by utilisation (`batch: utilisation`), as an alternative to the knee. The rule
/// knows nothing of throughput or latency: on a device whose knee is 1 it still grows the batch
/// while the load is low, which costs latency and gains nothing; therefore the knee is the default.
/// Not thread-safe; O(1).
class UtilisationSizer {
 public:
  /// `start` is brought into the rule's range.
  UtilisationSizer(const UtilisationRule& rule, std::size_t start);

  /// A reading of the device's utilisation, 0..1 (brought into it; NaN is left out), at `now`.
  /// Returns the batch from here on. The first change comes `every` after the first reading.
  std::size_t update(TimePoint now, double utilisation);

  [[nodiscard]] std::size_t frames() const { return frames_; }
  /// Of the readings the next change will look at; none without readings.
  [[nodiscard]] std::optional<double> mean_utilisation() const;

 private:
  const UtilisationRule rule_;
  std::size_t frames_;
  std::deque<double> readings_;  // oldest first
  std::optional<TimePoint> changed_at_;
};

}  // namespace framemill
