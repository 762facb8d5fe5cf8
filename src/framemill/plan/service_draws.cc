#include "framemill/plan/service_draws.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <optional>
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

/// What a model that is kept busy with nothing else takes, as near as it was measured.
struct Kept {
  const LatencyDistribution* service = nullptr;
  double scale = 1;

  [[nodiscard]] double seconds(std::size_t percent) const {
    return scale * to_seconds(service->percentiles[percent]);
  }
};

Kept kept_busy(const std::vector<Measured>& settings, std::size_t bucket, std::size_t in_flight) {
  const auto batch = static_cast<double>(bucket);
  const auto at_once = static_cast<double>(in_flight);
  const Measured& nearest = *std::ranges::min_element(
      settings, {}, [&](const Measured& one) { return distance(one, batch, at_once); });
  return {nearest.service,
          std::max(1.0, batch / nearest.batch) * std::max(1.0, at_once / nearest.in_flight)};
}

/// Fewer say little about a distribution's end.
constexpr std::int64_t kRunBatchesMin = 20;

const RunBatches* find_batches(const RunPoint& run, std::size_t bucket, std::size_t in_flight) {
  for (const RunBatches& batches : run.batches) {
    if (batches.batch == bucket && batches.in_flight == in_flight &&
        batches.count >= kRunBatchesMin && batches.service.percentiles.size() == 101 &&
        batches.service.percentiles.front() > Duration::zero())
      return &batches;
  }
  return nullptr;
}

/// How much longer than kept busy batches took in `run`, by the medians of the kinds that are known
/// in both: of those with as many in flight, else of all.
double stretch_of(const RunPoint& run, const std::vector<Measured>& settings,
                  std::size_t in_flight) {
  std::array<double, 2> sum{}, count{};
  for (const RunBatches& batches : run.batches) {
    if (find_batches(run, batches.batch, batches.in_flight) != &batches) continue;
    if (std::ranges::find(kBatchBuckets, batches.batch) == kBatchBuckets.end()) continue;
    const double ratio = to_seconds(batches.service.percentiles[50]) /
                         kept_busy(settings, batches.batch, batches.in_flight).seconds(50);
    const auto weight = static_cast<double>(batches.count);
    for (std::size_t i = batches.in_flight == in_flight ? 0 : 1; i < 2; ++i) {
      sum[i] += weight * std::log(ratio);
      count[i] += weight;
    }
  }
  const std::size_t known = count[0] > 0 ? 0 : 1;
  return count[known] > 0 ? std::exp(sum[known] / count[known]) : 1;
}

/// The runs of a profile whose loads lie around one, and how near it is to the second.
struct Between {
  const RunPoint* first = nullptr;
  const RunPoint* second = nullptr;
  double share = 0;

  [[nodiscard]] double mix(double of_first, double of_second) const {
    return std::lerp(of_first, of_second, share);
  }
};

/// 0: not measured.
double alone_per_s_of(const DeviceProfile& profile) {
  const ServicePoint* const alone = find_run_point(profile, 0);
  return alone == nullptr ? 0 : alone->frames_per_s;
}

std::optional<Between> runs_around(const DeviceProfile& profile, double load) {
  const double alone_per_s = alone_per_s_of(profile);
  if (profile.runs.empty() || alone_per_s <= 0) return std::nullopt;
  const auto load_of = [&](const RunPoint* run) {
    return static_cast<double>(run->cameras) * run->rate_hz / alone_per_s;
  };
  std::vector<const RunPoint*> runs;
  for (const RunPoint& run : profile.runs) runs.push_back(&run);
  std::ranges::sort(runs, {}, load_of);
  if (load <= load_of(runs.front())) return Between{runs.front(), runs.front(), 0};
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const double below = load_of(runs[i - 1]), above = load_of(runs[i]);
    if (load < above) return Between{runs[i - 1], runs[i], (load - below) / (above - below)};
  }
  return Between{runs.back(), runs.back(), 0};
}

/// One cell of a table: seconds by quantile, for a kind of batch beside `cores`.
template <typename Distribution>
void fill_cell(const DeviceProfile& profile, const std::vector<Measured>& settings,
               const std::optional<Between>& runs, double cores, std::size_t bucket,
               std::size_t in_flight, Distribution& cell) {
  const Kept kept = kept_busy(settings, bucket, in_flight);
  const double slow = slowdown(profile, in_flight, cores);
  if (!runs) {
    for (std::size_t q = 0; q < cell.size(); ++q) cell[q] = slow * kept.seconds(q);
    return;
  }
  std::array<Distribution, 2> of_run;
  for (std::size_t i = 0; i < 2; ++i) {
    const RunPoint& run = *(i == 0 ? runs->first : runs->second);
    const CamerasBeside cameras = cameras_of(profile, run);
    const double more = slow / slowdown(profile, in_flight, cores_beside(profile, {&cameras, 1}));
    const RunBatches* const batches = find_batches(run, bucket, in_flight);
    const double stretch = batches == nullptr ? stretch_of(run, settings, in_flight) : 1;
    for (std::size_t q = 0; q < cell.size(); ++q) {
      const double seconds = batches != nullptr ? to_seconds(batches->service.percentiles[q])
                                                : stretch * kept.seconds(q);
      of_run[i][q] = more * seconds + to_seconds(run.handover);
    }
  }
  for (std::size_t q = 0; q < cell.size(); ++q) cell[q] = runs->mix(of_run[0][q], of_run[1][q]);
}

}  // namespace

Result<ServiceDraws> ServiceDraws::create(const DeviceProfile& profile, double cores_beside,
                                          double load) {
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
  const auto fill = [&](const std::optional<Between>& runs) {
    for (std::size_t b = 0; b < kBatchBuckets.size(); ++b) {
      for (std::size_t s = 0; s < kStreamsMax; ++s) {
        fill_cell(profile, settings, runs, cores_beside, kBatchBuckets[b], s + 1,
                  model.table_[b][s]);
      }
    }
  };
  fill(runs_around(profile, std::numeric_limits<double>::infinity()));
  model.capacity_per_s_ = static_cast<double>(model.knee_frames_ * model.batches_max_) /
                          model.mean_s(model.knee_frames_, model.batches_max_);
  const double alone_per_s = alone_per_s_of(profile);
  model.alone_per_s_ = alone_per_s > 0 ? alone_per_s : model.capacity_per_s_;
  const std::optional<Between> runs = runs_around(profile, load);
  if (!runs) return model;
  fill(runs);
  model.likeness_ = runs->mix(runs->first->likeness, runs->second->likeness);
  model.likeness_time_ = from_seconds(
      runs->mix(to_seconds(runs->first->likeness_time), to_seconds(runs->second->likeness_time)));
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

}  // namespace framemill
