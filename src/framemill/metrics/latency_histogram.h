#pragma once

#include <array>
#include <cstdint>

#include "framemill/base/clock.h"

namespace framemill {

/// Counts latencies in buckets 1 % apart, from 1 us to over 1,000 s, so that percentiles over any
/// number of samples cost constant memory (about 17 KiB). Not thread-safe; record() is O(1).
class LatencyHistogram {
 public:
  /// Times below 1 us count as 1 us.
  void record(Duration latency);
  void merge(const LatencyHistogram& other);

  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] Duration max() const { return max_; }
  [[nodiscard]] Duration sum() const { return sum_; }
  /// The latency that the share `p` (0..1) of the samples does not exceed, within 1 %, never above
  /// max(); zero without samples.
  [[nodiscard]] Duration percentile(double p) const;
  /// How many samples do not exceed `bound`, taken as if it lay within 1 % of where it does.
  [[nodiscard]] std::int64_t count_up_to(Duration bound) const;

 private:
  static constexpr int kBucketCount = 2100;  // ln(1e9) / ln(1.01) = 2083
  std::array<std::int64_t, kBucketCount> buckets_{};
  std::int64_t count_ = 0;
  Duration max_{0};
  Duration sum_{0};
};

}  // namespace framemill
