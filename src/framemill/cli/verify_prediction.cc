#include "framemill/cli/verify_prediction.h"

#include <cstdint>

#include "framemill/sched/start_phase.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

/// Of frames that count, over all draws.
constexpr Duration kPredictedLength = 60s;
constexpr int kDraws = 12;
constexpr Duration kPlayedJitter = 500us;

LoadFigures figures_of(const ClassFigures& figures) {
  const double seconds = to_seconds(kPredictedLength);
  const auto answered = static_cast<double>(figures.inferred + figures.propagated + figures.reused);
  LoadFigures load;
  load.sampled_per_s = static_cast<double>(figures.sampled) / seconds;
  load.in_time_per_s = (answered - static_cast<double>(figures.not_on_time)) / seconds;
  load.inferred_per_s = static_cast<double>(figures.inferred) / seconds;
  load.share_inferred = figures.sampled > 0 ? static_cast<double>(figures.inferred) /
                                                  static_cast<double>(figures.sampled)
                                            : 0;
  load.p50 = figures.inferred_latency.percentile(.5);
  load.p95 = figures.inferred_latency.percentile(.95);
  load.p99 = figures.inferred_latency.percentile(.99);
  return load;
}

}  // namespace

std::array<LoadFigures, kPriorities> predict_played(SimulatedDevice device, CameraPhases phases,
                                                    double speed) {
  if (speed != 1) device.speed = {{Duration::zero(), speed}};
  device.jitter = kPlayedJitter;
  const int draws = phases == CameraPhases::kChance ? kDraws : 1;
  for (std::size_t i = 0; i < device.cameras.size() && draws == 1; ++i) {
    device.cameras[i].phase = start_phase(i);
  }
  // As in the run: every draw starts cold, and its beginning does not count.
  device.count_from = kPlayedWarmUp;
  device.count_until = kPlayedWarmUp + kPredictedLength / draws;
  device.length = device.count_until + kPlayedTail;
  DeviceFigures sum;
  for (int i = 0; i < draws; ++i, ++device.seed) sum.merge(simulate_device(device));
  std::array<LoadFigures, kPriorities> predicted;
  for (std::size_t i = 0; i < kPriorities; ++i) predicted[i] = figures_of(sum.classes[i]);
  return predicted;
}

}  // namespace framemill
