#include "framemill/plan/service_draws.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

std::size_t index_of(std::size_t bucket) {
  const auto* const found = std::ranges::find(kBatchBuckets, bucket);
  CHECK(found != kBatchBuckets.end());
  return static_cast<std::size_t>(found - kBatchBuckets.begin());
}

bool is_usable(const ServicePoint& point) {
  return point.service.percentiles.size() == 101 &&
         point.service.percentiles.front() > Duration::zero() && point.batch >= 1 &&
         point.batch <= kBatchBuckets.back() && point.streams >= 1;
}

double mean_of(const ServicePoint& point) {
  double sum = 0;
  for (const Duration time : point.service.percentiles) sum += to_seconds(time);
  return sum / static_cast<double>(point.service.percentiles.size());
}

/// How much slower batches are with `decoders` cameras decoded beside them: of the settings that
/// were measured with and without, the one with most numbers.
double decoding_factor(const DeviceProfile& profile, std::size_t decoders) {
  std::map<std::pair<std::size_t, std::size_t>, std::map<std::size_t, double>> settings;
  for (const ServicePoint& point : profile.points) {
    if (is_usable(point)) settings[{point.batch, point.streams}][point.decoders] = mean_of(point);
  }
  const std::map<std::size_t, double>* best = nullptr;
  for (const auto& [key, by_decoders] : settings) {
    if (by_decoders.contains(0) && (best == nullptr || by_decoders.size() > best->size())) {
      best = &by_decoders;
    }
  }
  if (best == nullptr) return 1;
  const double alone = best->at(0);
  const auto above = best->lower_bound(decoders);
  if (above == best->end()) return best->rbegin()->second / alone;
  if (above == best->begin()) return 1;
  const auto below = std::prev(above);
  const double part = static_cast<double>(decoders - below->first) /
                      static_cast<double>(above->first - below->first);
  return std::lerp(below->second, above->second, part) / alone;
}

}  // namespace

Result<ServiceDraws> ServiceDraws::create(const DeviceProfile& profile, std::size_t decoders) {
  std::vector<const ServicePoint*> points;
  for (const ServicePoint& point : profile.points) {
    if (is_usable(point) && point.decoders == 0) points.push_back(&point);
  }
  if (points.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the profile of {} on {} has no distribution of service times; measure "
                            "it anew with `framemill bench`",
                            profile.model, profile.device_name));
  }
  ServiceDraws model;
  model.knee_frames_ = bucket_for(std::clamp<std::size_t>(profile.knee_batch, 1, 32));
  model.batches_max_ = std::clamp<std::size_t>(profile.run_streams, 1, kStreamsMax);
  const double factor = decoding_factor(profile, decoders);
  for (std::size_t b = 0; b < kBatchBuckets.size(); ++b) {
    for (std::size_t s = 0; s < kStreamsMax; ++s) {
      const auto distance = [&](const ServicePoint* point) {  // in doublings
        const auto apart = [](double x, double y) { return std::abs(std::log2(x / y)); };
        return apart(static_cast<double>(point->batch), static_cast<double>(kBatchBuckets[b])) +
               apart(static_cast<double>(point->streams), static_cast<double>(s + 1));
      };
      const ServicePoint& nearest = **std::ranges::min_element(points, {}, distance);
      const double scale =
          std::max(1.0,
                   static_cast<double>(kBatchBuckets[b]) / static_cast<double>(nearest.batch)) *
          std::max(1.0, static_cast<double>(s + 1) / static_cast<double>(nearest.streams));
      for (std::size_t q = 0; q < kQuantiles; ++q) {
        model.table_[b][s][q] = factor * scale * to_seconds(nearest.service.percentiles[q]);
      }
    }
  }
  return model;
}

double ServiceDraws::quantile_s(std::size_t bucket, std::size_t streams, double u) const {
  CHECK(streams >= 1 && u >= 0 && u <= 1);
  const Distribution& times = table_[index_of(bucket)][std::min(streams, kStreamsMax) - 1];
  const double at = u * static_cast<double>(kQuantiles - 1);
  const auto below = std::min(static_cast<std::size_t>(at), kQuantiles - 2);
  return std::lerp(times[below], times[below + 1], at - static_cast<double>(below));
}

double ServiceDraws::mean_s(std::size_t bucket, std::size_t streams) const {
  const Distribution& times = table_[index_of(bucket)][std::min(streams, kStreamsMax) - 1];
  // Quantiles 0 and 1 stand for half a step each.
  const double sum =
      std::accumulate(times.begin() + 1, times.end() - 1, 0.0) + (times.front() + times.back()) / 2;
  return sum / static_cast<double>(kQuantiles - 1);
}

ServiceTimes ServiceDraws::learned_times() const {
  ServiceTimes times;
  for (const std::size_t bucket : kBatchBuckets) {
    if (bucket <= knee_frames_) times.seed(bucket, from_seconds(mean_s(bucket, batches_max_)));
  }
  return times;
}

double ServiceDraws::capacity_per_s() const {
  return static_cast<double>(knee_frames_ * batches_max_) / mean_s(knee_frames_, batches_max_);
}

}  // namespace framemill
