#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "framemill/video/ffmpeg_source.h"
#include "framemill/video/test_clips_for_test.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;

/// Real camera footage, over which skipping has to prove itself: the clips with frames that no
/// other refers to, and two with irregular time stamps.
class RealClip : public testing::TestWithParam<const char*> {};

TEST_P(RealClip, SkippingChangesNoSampledFrame) {
  const char* const root = std::getenv("FRAMEMILL_TESTDATA");
  const fs::path path =
      fs::path(root != nullptr ? root : "") / "clips" / (GetParam() + std::string(".mp4"));
  if (root == nullptr || !fs::exists(path))
    GTEST_SKIP() << "FRAMEMILL_TESTDATA names no folder with clips/" << GetParam();
  const SystemClock clock;
  FfmpegSource skipping(file_options(path, 3), clock);
  FfmpegSource complete(file_options(path, 3), clock, FfmpegSource::Skipping::kOff);
  ASSERT_TRUE(skipping.open());
  ASSERT_TRUE(complete.open());
  std::int64_t frames = 0;
  for (;; ++frames) {
    const auto some = skipping.read(), all = complete.read();
    ASSERT_TRUE(some && all);
    ASSERT_EQ(some->has_value(), all->has_value());
    if (!*some) break;
    const SourceFrame &a = **some, &b = **all;
    ASSERT_EQ(a.frame_index, frames);
    ASSERT_EQ(a.pts_s, b.pts_s);
    ASSERT_EQ(a.is_sampled, frames % 3 == 0);
    ASSERT_EQ(b.is_sampled, a.is_sampled);
    if (!a.is_sampled) continue;
    ASSERT_TRUE(a.picture && b.picture) << frames;
    ASSERT_TRUE(samples_of(*a.picture) == samples_of(*b.picture)) << frames;
  }
  EXPECT_EQ(frames, skipping.counts().packets);
  EXPECT_EQ(frames, complete.counts().frames_decoded);
}

INSTANTIATE_TEST_SUITE_P(Testdata, RealClip,
                         testing::Values("reception_hall_ahsan",
                                         "factory_bottling_line_annihilazor",
                                         "factory_checkweigher_conveyor_gefalleny",
                                         "mall_shopfront_camilo", "plaza_people_720p_ahsan",
                                         "highway_720p_adamridene", "lab_4cam_sync_cam1_bielaltoe",
                                         "industrial_bottles_shelf_intel", "barn_nest_cctv_mwc",
                                         "street_vehicles_ahmetozlu"),
                         [](const auto& clip) { return std::string(clip.param); });

}  // namespace
}  // namespace framemill
