#include "framemill/sched/batch_autosizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// Measurements in which a doubling has to gain.
constexpr std::size_t kGainsWanted = 2;

/// Throughput of the bucket at `index` over that of the one before is worth its doubling.
bool is_worth_doubling(Duration before, Duration after, std::size_t index) {
  const double frames_ratio =
      static_cast<double>(kBatchBuckets[index]) / static_cast<double>(kBatchBuckets[index - 1]);
  const double throughput_ratio =
      frames_ratio * static_cast<double>(before.count()) / static_cast<double>(after.count());
  // A gain of exactly 5 % counts, whatever the rounding to nanoseconds says.
  return throughput_ratio >= 1 + kKneeGainMin - 1e-9;
}

}  // namespace

std::size_t knee_frames(std::span<const Duration> time_of_bucket) {
  std::size_t knee = 1;
  const std::size_t count = std::min(time_of_bucket.size(), kBatchBuckets.size());
  for (std::size_t i = 1; i < count; ++i) {
    const Duration before = time_of_bucket[i - 1];
    const Duration after = time_of_bucket[i];
    if (before <= Duration::zero() || after <= Duration::zero()) break;
    if (!is_worth_doubling(before, after, i)) break;
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

KneeSearch::KneeSearch(std::size_t frames_max) : frames_max_(frames_max) { CHECK(frames_max >= 1); }

std::optional<std::size_t> KneeSearch::next() const {
  if (is_over_) return std::nullopt;
  if (time_of_knee_ == Duration::zero()) return kBatchBuckets[knee_];
  const std::size_t larger = knee_ + 1;
  if (larger == kBatchBuckets.size() || kBatchBuckets[larger] > frames_max_) return std::nullopt;
  return kBatchBuckets[larger];
}

void KneeSearch::record(Duration time) {
  CHECK(next() && time > Duration::zero());
  if (time_of_knee_ == Duration::zero()) {
    time_of_knee_ = time;
  } else if (!is_worth_doubling(time_of_knee_, time, knee_ + 1)) {
    is_over_ = true;
  } else if (++gains_ == kGainsWanted) {
    ++knee_;
    gains_ = 0;
    time_of_knee_ = time;
  } else {
    time_of_knee_ = Duration::zero();
  }
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
