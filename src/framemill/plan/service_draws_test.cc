// Times of batches at a load are those of the profile's own runs around it; what runs do not tell
// is taken from the model kept busy.

#include "framemill/plan/service_draws.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;

LatencyDistribution around(double mean_s) {
  LatencyDistribution distribution;
  for (int i = 0; i <= 100; ++i)
    distribution.percentiles.push_back(from_seconds(mean_s * (.9 + .002 * i)));
  return distribution;
}

RunBatches batches_of(std::size_t batch, std::size_t in_flight, double mean_s,
                      std::int64_t count = 100) {
  return {.batch = batch, .in_flight = in_flight, .count = count, .service = around(mean_s)};
}

/// Two streams that do 100/s kept busy, 20 ms each. Runs at .3 (colder, alone as a rule) and at 1.3
/// of that.
DeviceProfile make_profile() {
  DeviceProfile profile{.device = "CPU", .device_name = "a CPU", .model = "m.onnx"};
  profile.run_streams = profile.knee_streams = 2;
  profile.points = {
      {.batch = 1, .streams = 2, .frames_per_s = 100, .service = around(.020), .cpu_cores = 2},
      {.batch = 2, .streams = 2, .frames_per_s = 100, .service = around(.040), .cpu_cores = 2}};
  profile.runs = {{.cameras = 3,
                   .rate_hz = 10,
                   .frames_per_s = 30,
                   .batches = {batches_of(1, 1, .015), batches_of(1, 2, .024),
                               batches_of(2, 2, .400, 3)},  // three are chance
                   .likeness = .8,
                   .likeness_time = 100ms},
                  {.cameras = 13,
                   .rate_hz = 10,
                   .frames_per_s = 80,
                   .batches = {batches_of(1, 2, .024)},
                   .handover = 1ms,
                   .likeness = .2,
                   .likeness_time = 50ms}};
  return profile;
}

ServiceDraws draws_at(double load, double cores_beside = 0) {
  return *ServiceDraws::create(make_profile(), cores_beside, load);
}

TEST(ServiceDraws, BelowAndAboveTheRunsTheNearestCounts) {
  EXPECT_NEAR(draws_at(.1).quantile_s(1, 1, .5), .015, 1e-9);
  EXPECT_NEAR(draws_at(.3).quantile_s(1, 1, .5), .015, 1e-9);
  EXPECT_NEAR(draws_at(5).quantile_s(1, 2, .5), .025, 1e-9);  // handing over takes part of a slot
  EXPECT_NEAR(draws_at(.1).likeness(), .8, 1e-9);
  EXPECT_NEAR(to_ms(draws_at(5).likeness_time()), 50, 1e-6);
}

// A run of 13 cameras of 10/s on a model of 100/s alone is a load of 1.3, of which 80/s came out.
TEST(ServiceDraws, LoadsAreOverWhatTheModelAloneDoes) {
  const ServiceDraws draws = draws_at(1.3);
  EXPECT_NEAR(draws.alone_per_s(), 100, 1e-9);
  for (const RunPoint& run : make_profile().runs) {
    const double load = static_cast<double>(run.cameras) * run.rate_hz / draws.alone_per_s();
    EXPECT_NEAR(draws_at(load).likeness(), run.likeness, 1e-9);
  }
  DeviceProfile unknown = make_profile();
  unknown.points = {unknown.points[1]};  // the knee was not measured alone: there are no loads
  unknown.runs.clear();
  EXPECT_NEAR(ServiceDraws::create(unknown)->alone_per_s(),
              ServiceDraws::create(unknown)->capacity_per_s(), 1e-9);
}

TEST(ServiceDraws, BetweenTwoRunsTimesLieBetween) {
  const ServiceDraws half = draws_at(.8);
  EXPECT_NEAR(half.quantile_s(1, 2, .5), (.024 + .025) / 2, 1e-9);
  EXPECT_NEAR(half.likeness(), .5, 1e-9);
  EXPECT_NEAR(to_ms(half.likeness_time()), 75, 1e-6);
}

TEST(ServiceDraws, AKindThatWasRareIsStretchedAsThoseThatWereNot) {
  // With two in flight batches of one took 24 ms in the run and 20 kept busy.
  EXPECT_NEAR(draws_at(.3).quantile_s(2, 2, .5), .040 * 24 / 20, 1e-9);
}

TEST(ServiceDraws, CapacityIsThatOfTheFullRunAtAnyLoad) {
  for (const double load : {.1, .8, 2.0}) EXPECT_NEAR(draws_at(load).capacity_per_s(), 80, .1);
}

// The run at 1.3 had 13 cameras beside it already: only what others cost beyond those is added.
TEST(ServiceDraws, CamerasOfTheRunItselfAreNotCountedTwice) {
  DeviceProfile profile = make_profile();
  profile.camera = CameraCost{.fps = 25, .decode_s = .001};
  const double of_run = 13 * 25 * .001;
  const auto at = [&](double cores) {
    return ServiceDraws::create(profile, cores, 1.3)->quantile_s(1, 2, .5);
  };
  EXPECT_NEAR(at(of_run), .025, 1e-9);
  EXPECT_NEAR(at(1), .001 + .024 * (2 - of_run) / (2 - 1), 1e-9);
  EXPECT_LT(at(0), .025);
}

TEST(ServiceDraws, WithoutRunsTheModelKeptBusyCounts) {
  DeviceProfile profile = make_profile();
  profile.runs.clear();
  const ServiceDraws draws = *ServiceDraws::create(profile, 0, .3);
  EXPECT_NEAR(draws.quantile_s(1, 2, .5), .020, 1e-9);
  EXPECT_NEAR(draws.capacity_per_s(), 100, .1);
  EXPECT_EQ(draws.likeness(), 0);
}

}  // namespace
}  // namespace framemill
