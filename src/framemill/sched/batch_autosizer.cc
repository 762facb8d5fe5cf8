#include "framemill/sched/batch_autosizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "framemill/base/check.h"

namespace framemill {

std::size_t knee_frames(std::span<const Duration> time_of_bucket) {
  std::size_t knee = 1;
  const std::size_t count = std::min(time_of_bucket.size(), kBatchBuckets.size());
  for (std::size_t i = 1; i < count; ++i) {
    const auto before = static_cast<double>(time_of_bucket[i - 1].count());
    const auto after = static_cast<double>(time_of_bucket[i].count());
    if (!(before > 0 && after > 0)) break;
    const double frames_ratio =
        static_cast<double>(kBatchBuckets[i]) / static_cast<double>(kBatchBuckets[i - 1]);
    const double throughput_ratio = frames_ratio * before / after;
    // A gain of exactly 5 % counts, whatever the rounding to nanoseconds says.
    if (throughput_ratio < 1 + kKneeGainMin - 1e-9) break;
    knee = kBatchBuckets[i];
  }
  return knee;
}

std::size_t knee_frames(const ServiceTimes& times) {
  std::array<Duration, kBatchBuckets.size()> means;
  std::ranges::transform(kBatchBuckets, means.begin(),
                         [&times](std::size_t bucket) { return times.mean(bucket); });
  return knee_frames(means);
}

UtilisationSizer::UtilisationSizer(const UtilisationRule& rule, std::size_t start)
    : rule_(rule), frames_(std::clamp(start, rule.frames_min, rule.frames_max)) {
  CHECK(rule.frames_min >= 1 && rule.frames_min <= rule.frames_max);
  CHECK(rule.grow_below < rule.shrink_above);
  CHECK(rule.readings >= 1);
}

std::size_t UtilisationSizer::update(TimePoint now, double utilisation) {
  if (!std::isnan(utilisation)) {
    readings_.push_back(std::clamp(utilisation, 0.0, 1.0));
    if (readings_.size() > rule_.readings) readings_.pop_front();
  }
  if (!changed_at_) changed_at_ = now;
  if (now - *changed_at_ < rule_.every || readings_.empty()) return frames_;
  changed_at_ = now;
  const double mean = *mean_utilisation();
  constexpr double kRounding = 1e-9;  // of the mean: .8 three times over is a little more than .8
  if (mean < rule_.grow_below - kRounding) {
    frames_ += std::min(rule_.step, rule_.frames_max - frames_);
  } else if (mean > rule_.shrink_above + kRounding) {
    frames_ -= std::min(rule_.step, frames_ - rule_.frames_min);
  }
  return frames_;
}

std::optional<double> UtilisationSizer::mean_utilisation() const {
  if (readings_.empty()) return std::nullopt;
  return std::accumulate(readings_.begin(), readings_.end(), 0.0) /
         static_cast<double>(readings_.size());
}

}  // namespace framemill
