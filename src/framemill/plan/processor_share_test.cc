#include "framemill/plan/processor_share.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

/// Two cores, two batches in flight; 32 cameras of 25 frames/s beside it cost it a quarter.
DeviceProfile make_profile() {
  DeviceProfile profile{.device = "CPU"};
  profile.run_streams = profile.knee_streams = 2;
  profile.points = {
      {.batch = 1, .streams = 2, .decoders = 0, .frames_per_s = 160, .cpu_cores = 2},
      {.batch = 1, .streams = 2, .decoders = 32, .frames_per_s = 120, .cpu_cores = 1.5}};
  profile.decode = {{.codec = "h264", .size = {640, 360}, .frames_per_core_s = 2000},
                    {.codec = "h264", .size = {1280, 720}, .frames_per_core_s = 400}};
  profile.camera = CameraCost{.fps = 25, .decode_s = .0005, .carry_s = .001};
  return profile;
}

CamerasBeside cameras(double count) {
  return {.count = count, .codec = "h264", .size = {640, 360}, .fps = 25, .rate_hz = 10};
}

TEST(ProcessorShare, DecodingIsTakenFromTheNearestSizeByPixels) {
  const DeviceProfile profile = make_profile();
  EXPECT_DOUBLE_EQ(*decode_core_s(profile.decode, "h264", {640, 360}), 1.0 / 2000);
  EXPECT_DOUBLE_EQ(*decode_core_s(profile.decode, "h264", {1280, 720}), 1.0 / 400);
  EXPECT_DOUBLE_EQ(*decode_core_s(profile.decode, "h264", {2560, 1440}), 4.0 / 400);
  EXPECT_FALSE(decode_core_s(profile.decode, "hevc", {640, 360}));
}

TEST(ProcessorShare, TheCamerasOfTheBenchCostWhatTheyCostThere) {
  const DeviceProfile profile = make_profile();
  const CamerasBeside same[] = {cameras(32)};
  // 32 x 25 x .5 ms are .4 cores, and half a core was lost: a factor of 1.25 on all.
  EXPECT_NEAR(cores_beside(profile, same), .5, 1e-9);
  const CamerasBeside half[] = {cameras(16)};
  EXPECT_NEAR(cores_beside(profile, half), .25, 1e-9);
  CamerasBeside carried = cameras(16);
  carried.is_carried = true;  // 16 x 10 x 1 ms more, with the same factor
  EXPECT_NEAR(cores_beside(profile, {&carried, 1}), .25 + .16 * 1.25, 1e-9);
}

TEST(ProcessorShare, WhatRunsLostBesidesCountsForEachSampledFrame) {
  DeviceProfile profile = make_profile();
  profile.camera->sample_s = .0002;
  profile.camera->carried_sample_s = .0003;
  CamerasBeside some = cameras(16);
  EXPECT_NEAR(cores_beside(profile, {&some, 1}), .25 + 16 * 10 * .0002, 1e-9);
  some.is_carried = true;
  EXPECT_NEAR(cores_beside(profile, {&some, 1}), .25 + 16 * 10 * (.001 * 1.25 + .0003), 1e-9);
}

TEST(ProcessorShare, WithoutMeasurementsBesideNothingIsAdded) {
  DeviceProfile profile = make_profile();
  profile.points.pop_back();
  const CamerasBeside some[] = {cameras(32)};
  EXPECT_NEAR(cores_beside(profile, some), .4, 1e-9);
  profile.decode.clear();
  EXPECT_NEAR(cores_beside(profile, some), .4, 1e-9);  // by the camera of the bench
  profile.camera.reset();
  EXPECT_EQ(cores_beside(profile, some), 0);
}

TEST(ProcessorShare, FewerBatchesInFlightKeepFewerCoresBusy) {
  const DeviceProfile profile = make_profile();
  EXPECT_DOUBLE_EQ(model_cores(profile, 2).busy, 2);
  EXPECT_DOUBLE_EQ(model_cores(profile, 1).busy, 1);
  EXPECT_DOUBLE_EQ(model_cores(profile, 4).busy, 2);
  EXPECT_DOUBLE_EQ(model_cores(profile, 1).all, 2);
  EXPECT_EQ(model_cores(DeviceProfile{}, 1).busy, 0);
}

}  // namespace
}  // namespace framemill
