#pragma once

#include <array>
#include <cstddef>

#include "framemill/base/clock.h"

namespace framemill {

/// The batch sizes in use; others are padded up to the next.
inline constexpr std::array<std::size_t, 6> kBatchBuckets{1, 2, 4, 8, 16, 32};

/// The smallest bucket that holds `frames`; `frames` in 1..32.
[[nodiscard]] std::size_t bucket_for(std::size_t frames);

/// Service times of one model on one device per batch bucket, learned online: exponentially smoothed
/// mean and mean deviation, as TCP estimates round trips (Jacobson, 1988); p95 ~ mean + 2 deviations,
/// for which a normal distribution gives a deviation of .8 sigma, so 1.6 sigma. Follows a slowdown of 25 %
/// within ~10 samples. Times run from the hand-over to the backend to its completion with the usual load
/// beside it. A bucket never seen is scaled from the nearest seen one. Not thread-safe; O(1).
class ServiceTimes {
 public:
  /// Starting value of a bucket, from a profile or the warm-up. > 0.
  void seed(std::size_t batch, Duration time);
  void record(std::size_t batch, Duration time);
  [[nodiscard]] Duration mean(std::size_t batch) const;
  [[nodiscard]] Duration p95(std::size_t batch) const;

 private:
  struct Estimate {
    bool is_seen = false;
    double mean_ns = 0;
    double deviation_ns = 0;
  };
  std::array<Estimate, kBatchBuckets.size()> estimates_;
};

}  // namespace framemill
