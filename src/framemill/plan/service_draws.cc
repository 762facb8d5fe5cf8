#include "framemill/plan/service_draws.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <vector>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/plan/processor_share.h"

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

/// A distribution of the profile and the setting it was measured in.
struct Measured {
  const LatencyDistribution* service = nullptr;
  double batch = 1;
  double in_flight = 1;
  bool is_as_run = false;  ///< with the number of streams that `run` uses
};

std::vector<Measured> usable_settings(const DeviceProfile& profile) {
  std::vector<Measured> settings;
  for (const ServicePoint& point : profile.points) {
    if (!is_usable(point) || point.decoders > 0) continue;
    settings.push_back({.service = &point.service,
                        .batch = static_cast<double>(point.batch),
                        .in_flight = static_cast<double>(point.streams),
                        .is_as_run = point.streams == profile.run_streams});
  }
  for (const SparePoint& point : profile.spare) {
    if (!is_usable({.batch = point.batch, .service = point.service})) continue;
    settings.push_back({.service = &point.service,
                        .batch = static_cast<double>(point.batch),
                        .in_flight = static_cast<double>(point.in_flight),
                        .is_as_run = true});
  }
  return settings;
}

/// In doublings of the batch and of the batches in flight. A model loaded for another number of
/// streams runs a batch on other cores: half a doubling.
double distance(const Measured& setting, double batch, double in_flight) {
  return std::abs(std::log2(setting.batch / batch)) +
         std::abs(std::log2(setting.in_flight / in_flight)) + (setting.is_as_run ? 0 : .5);
}

/// How much longer batches take with `in_flight` of them beside cameras that need `cores_beside`.
double slowdown(const DeviceProfile& profile, std::size_t in_flight, double cores_beside) {
  const ModelCores cores = model_cores(profile, in_flight);
  if (cores.busy <= 0) return 1;
  return 1 / std::clamp((cores.all - cores_beside) / cores.busy, .05, 1.0);
}

}  // namespace

Result<ServiceDraws> ServiceDraws::create(const DeviceProfile& profile, double cores_beside) {
  const std::vector<Measured> settings = usable_settings(profile);
  if (settings.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the profile of {} on {} has no distribution of service times; measure "
                            "it anew with `framemill bench`",
                            profile.model, profile.device_name));
  }
  ServiceDraws model;
  model.knee_frames_ = bucket_for(std::clamp<std::size_t>(profile.knee_batch, 1, 32));
  model.batches_max_ = std::clamp<std::size_t>(profile.run_streams, 1, kStreamsMax);
  for (std::size_t b = 0; b < kBatchBuckets.size(); ++b) {
    const auto batch = static_cast<double>(kBatchBuckets[b]);
    for (std::size_t s = 0; s < kStreamsMax; ++s) {
      const auto in_flight = static_cast<double>(s + 1);
      const Measured& nearest = *std::ranges::min_element(
          settings, {}, [&](const Measured& one) { return distance(one, batch, in_flight); });
      const double scale = std::max(1.0, batch / nearest.batch) *
                           std::max(1.0, in_flight / nearest.in_flight) *
                           slowdown(profile, s + 1, cores_beside);
      for (std::size_t q = 0; q < kQuantiles; ++q) {
        model.table_[b][s][q] = scale * to_seconds(nearest.service->percentiles[q]);
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
