#pragma once

#include <array>
#include <compare>
#include <cstddef>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/sched/device_profile.h"
#include "framemill/sched/service_times.h"

namespace framemill {

/// What cameras ask of the device that they are on.
struct DeviceLoad {
  double models = 0;  ///< inferences a second, over what their models do with nothing beside them
  double cores = 0;   ///< processor time a second that cameras take from the models; of a CPU only

  friend bool operator==(const DeviceLoad&, const DeviceLoad&) = default;
  friend auto operator<=>(const DeviceLoad&, const DeviceLoad&) = default;
  DeviceLoad& operator+=(const DeviceLoad& other) {
    models += other.models;
    cores += other.cores;
    return *this;
  }
  friend DeviceLoad operator*(double factor, const DeviceLoad& load) {
    return {factor * load.models, factor * load.cores};
  }
};

/// How long batches take on a device, from its profile: a distribution per batch bucket and number
/// of batches in flight. Where the profile has whole runs, it is that of the two whose loads lie
/// around the one that is asked for, between them; a kind of batch which was rare there is that of
/// the model kept busy, longer as the kinds that were not rare. What was not measured is taken from
/// the nearest setting that was, without a gain: more frames, or more batches at once, take longer
/// in proportion.
class ServiceDraws {
 public:
  static constexpr std::size_t kStreamsMax = 4;

  /// `cores_beside`: processor time a second that cameras take on the same processor, see
  /// processor_share.h; batches get what it leaves of the cores, a twentieth at least.
  /// `load`: inferences a second that the device is asked for, over alone_per_s(); >= 0. In this
  /// unit the bench chose the loads of its runs.
  /// Errors: kInvalidArgument where the profile has no distribution to draw from.
  static Result<ServiceDraws> create(const DeviceProfile& profile, double cores_beside = 0,
                                     double load = 1);

  /// The time, in seconds and > 0, that the share `u` (0..1) of the batches does not exceed.
  /// `bucket` of kBatchBuckets; `streams` >= 1 in flight, this one included.
  [[nodiscard]] double quantile_s(std::size_t bucket, std::size_t streams, double u) const;
  [[nodiscard]] double mean_s(std::size_t bucket, std::size_t streams) const;

  /// What the engine would have measured at its start.
  [[nodiscard]] ServiceTimes learned_times() const;
  [[nodiscard]] std::size_t knee_frames() const { return knee_frames_; }
  [[nodiscard]] std::size_t batches_max() const { return batches_max_; }
  /// Inferences a second of the model kept busy with nothing beside it, by the bench.
  [[nodiscard]] double alone_per_s() const { return alone_per_s_; }
  /// Inferences a second at the knee with all slots taken, at full load.
  [[nodiscard]] double capacity_per_s() const { return capacity_per_s_; }
  /// How batches resemble those before them, see RunPoint.
  [[nodiscard]] double likeness() const { return likeness_; }
  [[nodiscard]] Duration likeness_time() const { return likeness_time_; }

 private:
  static constexpr std::size_t kQuantiles = 101;
  using Distribution = std::array<double, kQuantiles>;  // seconds, ascending

  std::array<std::array<Distribution, kStreamsMax>, kBatchBuckets.size()> table_{};
  double alone_per_s_ = 0;
  double capacity_per_s_ = 0;
  double likeness_ = 0;
  Duration likeness_time_{0};
  std::size_t knee_frames_ = 1;
  std::size_t batches_max_ = 1;
};

}  // namespace framemill
