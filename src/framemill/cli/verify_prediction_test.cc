// What verify predicts is what it measures: a warm run.

#include "framemill/cli/verify_prediction.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

/// Ten cameras of 10/s, adaptive, a fifth of whose frames may be inferred, on a device that could
/// infer 66 a second.
SimulatedDevice make_device(double share, double rate_hz = 10) {
  DeviceProfile profile{.device = "CPU", .model = "m.onnx"};
  profile.run_streams = 2;
  LatencyDistribution service;
  for (int i = 0; i <= 100; ++i) service.percentiles.push_back(27ms + i * 60us);
  profile.points = {{.batch = 1, .streams = 2, .service = service}};
  SimulatedDevice device;
  device.lanes = {*ServiceDraws::create(profile)};
  device.share = share;
  device.cameras.assign(10, {.dispatch = {.policy = PolicyKind::kAdaptive,
                                          .slo = 200ms,
                                          .period = from_seconds(1 / rate_hz)}});
  return device;
}

double share_of(const ClassFigures& figures) {
  return static_cast<double>(figures.inferred) / static_cast<double>(figures.sampled);
}

const ClassFigures& normal(const DeviceFigures& figures) {
  return figures.classes[static_cast<std::size_t>(Priority::kNormal)];
}

/// What a run comes to that has been going on for long.
double lasting_share(SimulatedDevice device) {
  device.count_from = 60s;
  device.length = 600s;
  return share_of(normal(simulate_device(device)));
}

/// Twelve runs of 5 s, counted from their start.
double cold_share(SimulatedDevice device) {
  device.length = 5s;
  DeviceFigures sum;
  for (int i = 0; i < 12; ++i, ++device.seed) sum.merge(simulate_device(device));
  return share_of(normal(sum));
}

// A camera's first frame brings a token of its own, which in 5 s of 10/s is one frame in fifty: up
// to 2 points for any budget, ten times that at 1/s. That is no part of what goes on for half a
// minute, and a mean of many starts must not show it.
TEST(PredictPlayed, HowOftenARunBeginsDoesNotChangeTheShare) {
  for (const auto& [share, rate_hz] :
       {std::pair(.1, 10.0), std::pair(.2, 10.0), std::pair(.2, 1.0)}) {
    const SimulatedDevice device = make_device(share, rate_hz);
    const double lasting = lasting_share(device);
    EXPECT_LE(lasting, share + .001);
    for (const CameraPhases phases : {CameraPhases::kKnown, CameraPhases::kChance}) {
      const LoadFigures predicted =
          predict_played(device, phases)[static_cast<std::size_t>(Priority::kNormal)];
      EXPECT_NEAR(predicted.share_inferred, lasting, .01) << share << " at " << rate_hz;
    }
    EXPECT_GT(cold_share(device), lasting + .1 / rate_hz) << "or nothing is shown here";
  }
}

TEST(PredictPlayed, OnlyFramesOfTheWindowCountAndAllOfThemEnd) {
  for (const CameraPhases phases : {CameraPhases::kKnown, CameraPhases::kChance}) {
    const LoadFigures normal =
        predict_played(make_device(.2), phases)[static_cast<std::size_t>(Priority::kNormal)];
    EXPECT_NEAR(normal.sampled_per_s, 100, .5);
    // Nothing is at a model when the run ends: what was sampled was answered.
    EXPECT_NEAR(normal.in_time_per_s, normal.sampled_per_s, .01);
  }
}

TEST(PredictPlayed, ASlowerDeviceAnswersLater) {
  const auto p50 = [](double speed) {
    return predict_played(make_device(.2), CameraPhases::kKnown,
                          speed)[static_cast<std::size_t>(Priority::kNormal)]
        .p50;
  };
  EXPECT_NEAR(to_ms(p50(.5)) / to_ms(p50(1)), 2, .2);
}

}  // namespace
}  // namespace framemill
