#include "framemill/sched/service_times.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

#include "framemill/base/check.h"

namespace framemill {
namespace {

// Jacobson's gains: after 10 samples the mean has made up 74 % of a step, and the deviation covers
// the rest of it.
constexpr double kMeanGain = 1.0 / 8;
constexpr double kDeviationGain = 1.0 / 4;
constexpr double kFirstDeviation = 1.0 / 8;  // of the first value: p95 starts 25 % above it
constexpr double kOutlierFactor = 4.0;

std::size_t bucket_index(std::size_t frames) {
  CHECK(frames >= 1 && frames <= kBatchBuckets.back());
  return static_cast<std::size_t>(std::bit_width(frames - 1));
}

double frames_in(std::size_t index) { return static_cast<double>(kBatchBuckets[index]); }

Duration whole_ns(double ns) { return Duration(std::llround(std::clamp(ns, 0.0, 9e18))); }

}  // namespace

std::size_t bucket_for(std::size_t frames) { return kBatchBuckets[bucket_index(frames)]; }

void ServiceTimes::seed(std::size_t batch, Duration time) {
  CHECK(time > Duration::zero());
  const double ns = static_cast<double>(time.count());
  estimates_[bucket_index(batch)] = {
      .is_seen = true, .mean_ns = ns, .deviation_ns = kFirstDeviation * ns};
}

void ServiceTimes::record(std::size_t batch, Duration time) {
  const std::size_t index = bucket_index(batch);
  Estimate& estimate = estimates_[index];
  if (!estimate.is_seen) {
    seed(batch, std::max(time, Duration(1)));
  } else {
    // Learning goes on from what was used for decisions, not from what fresher buckets overruled.
    const double mean_ns = std::max(consistent_ns(index, 0), 1.0);
    const double deviation_ns = std::max((consistent_ns(index, 2) - mean_ns) / 2, 0.0);
    const double sample_ns = static_cast<double>(std::max(time, Duration(1)).count());
    const double error = std::min(sample_ns, kOutlierFactor * mean_ns) - mean_ns;
    estimate.mean_ns = mean_ns + kMeanGain * error;
    estimate.deviation_ns = deviation_ns + kDeviationGain * (std::abs(error) - deviation_ns);
  }
  estimate.recorded_as = ++samples_;
}

Duration ServiceTimes::mean(std::size_t batch) const {
  return whole_ns(consistent_ns(bucket_index(batch), 0));
}

Duration ServiceTimes::p95(std::size_t batch) const {
  return whole_ns(consistent_ns(bucket_index(batch), 2));
}

Duration ServiceTimes::p05(std::size_t batch) const {
  return whole_ns(consistent_ns(bucket_index(batch), -2));
}

/// mean + `deviations` x deviation of a bucket, kept within what fresher buckets allow. Without
/// this a stall seen by the bucket of 8 only would make the policy use 4 for ever, as nothing would
/// correct 8.
double ServiceTimes::consistent_ns(std::size_t index, double deviations) const {
  const auto value_of = [deviations](const Estimate& estimate) {
    return std::max(0.0, estimate.mean_ns + deviations * estimate.deviation_ns);
  };
  const Estimate& own = estimates_[index];
  double ns = own.is_seen ? value_of(own) : 0;
  if (!own.is_seen) {
    // The nearest seen one; among equally near the smaller, whose frames cost no less each.
    for (std::size_t distance = 1; distance < estimates_.size() && ns == 0; ++distance) {
      for (const std::size_t other : {index - distance, index + distance}) {
        if (other >= estimates_.size() || !estimates_[other].is_seen || ns > 0) continue;
        ns = value_of(estimates_[other]) * frames_in(index) / frames_in(other);
      }
    }
  }
  // From the least to the most recently measured: the freshest has the last word.
  std::uint64_t applied = own.recorded_as;
  while (own.is_seen && applied < samples_) {
    std::size_t next = estimates_.size();
    for (std::size_t other = 0; other < estimates_.size(); ++other) {
      if (estimates_[other].recorded_as <= applied) continue;
      if (next == estimates_.size() || estimates_[other].recorded_as < estimates_[next].recorded_as)
        next = other;
    }
    if (next == estimates_.size()) break;
    const double ratio = frames_in(index) / frames_in(next);
    const double value = value_of(estimates_[next]);
    ns = std::clamp(ns, value * std::min(1.0, ratio), value * std::max(1.0, ratio));
    applied = estimates_[next].recorded_as;
  }
  return ns;
}

}  // namespace framemill
