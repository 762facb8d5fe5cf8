#include "framemill/metrics/latency_histogram.h"

#include <algorithm>
#include <cmath>

#include "framemill/base/check.h"

namespace framemill {
namespace {

constexpr double kLogGrowth = 0.00995033085316808;  // ln(1.01)

}  // namespace

void LatencyHistogram::record(Duration latency) {
  const double us = std::max(1.0, static_cast<double>(latency.count()) / 1e3);
  const int bucket = std::min(kBucketCount - 1, static_cast<int>(std::log(us) / kLogGrowth));
  ++buckets_[static_cast<std::size_t>(bucket)];
  ++count_;
  max_ = std::max(max_, latency);
  sum_ += latency;
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

Duration LatencyHistogram::percentile(double p) const {
  CHECK(p >= 0 && p <= 1);
  if (count_ == 0) return Duration::zero();
  const auto rank = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::ceil(p * static_cast<double>(count_))));
  if (rank >= count_) return max_;
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen < rank) continue;
    const double upper_us = std::exp(static_cast<double>(i + 1) * kLogGrowth);
    return std::min(max_, Duration(static_cast<std::int64_t>(upper_us * 1e3)));
  }
  return max_;
}

std::int64_t LatencyHistogram::count_up_to(Duration bound) const {
  if (bound >= max_) return count_;
  const double us = std::max(1.0, static_cast<double>(bound.count()) / 1e3);
  const auto buckets = std::min<std::int64_t>(kBucketCount, std::lround(std::log(us) / kLogGrowth));
  std::int64_t seen = 0;
  for (std::int64_t i = 0; i < buckets; ++i) seen += buckets_[static_cast<std::size_t>(i)];
  return seen;
}

}  // namespace framemill
