#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "framemill/base/clock.h"

namespace framemill {

/// The batch sizes in use; others are padded up to the next.
inline constexpr std::array<std::size_t, 6> kBatchBuckets{1, 2, 4, 8, 16, 32};

/// The smallest bucket that holds `frames`; `frames` in 1..32.
[[nodiscard]] std::size_t bucket_for(std::size_t frames);

/// Service times of one model on one device per batch bucket, learned online: exponentially
/// smoothed mean and mean deviation, as TCP estimates round trips (Jacobson, 1988); p95 ~ mean + 2
/// deviations, for which a normal distribution gives a deviation of .8 sigma, so 1.6 sigma. Follows
/// a slowdown of 25 % within ~10 samples. Times run from the hand-over to the backend to its
/// completion with the usual load beside it. A bucket never seen is scaled from the nearest seen
/// one. One sample counts at most four times its mean, so a single stall cannot shut a camera out
/// for long; a bucket which is no longer used cannot contradict one measured since (a larger batch
/// takes no less time, and no more than its frames one by one). All times are 0 until something is
/// known: the policy then just tries. Not thread-safe; O(1).
class ServiceTimes {
 public:
  /// What is known of one bucket.
  struct Estimate {
    bool is_seen = false;
    std::uint64_t recorded_as = 0;  ///< number of the latest sample; 0: only seeded
    double mean_ns = 0;
    double deviation_ns = 0;
    friend bool operator==(const Estimate&, const Estimate&) = default;
  };
  /// All that is known, by place in kBatchBuckets.
  using Estimates = std::array<Estimate, kBatchBuckets.size()>;

  ServiceTimes() = default;
  /// As they were: `estimates()` and `samples()` of others.
  ServiceTimes(const Estimates& estimates, std::uint64_t samples)
      : estimates_(estimates), samples_(samples) {}
  [[nodiscard]] const Estimates& estimates() const { return estimates_; }
  [[nodiscard]] std::uint64_t samples() const { return samples_; }

  /// Starting value of a bucket, from a profile or the warm-up. > 0.
  void seed(std::size_t batch, Duration time);
  /// What a batch of `batch` frames took. Values below 1 ns count as 1 ns.
  void record(std::size_t batch, Duration time);
  [[nodiscard]] Duration mean(std::size_t batch) const;
  [[nodiscard]] Duration p95(std::size_t batch) const;
  /// The fastest to be expected: mean - 2 deviations, not below 0.
  [[nodiscard]] Duration p05(std::size_t batch) const;

 private:
  [[nodiscard]] double consistent_ns(std::size_t index, double deviations) const;

  Estimates estimates_;
  std::uint64_t samples_ = 0;
};

}  // namespace framemill
