// What verify predicts of clips is what the clips are, not what the workload says of its cameras.

#include "framemill/cli/verify_clips.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using ::testing::HasSubstr;

CameraGroup group_of(std::string name, std::int64_t count) {
  return {.name = std::move(name),
          .count = count,
          .codec = "h264",
          .resolution = {640, 360},
          .fps = 25,
          .rate_hz = 10,
          .model = "m.onnx"};
}

PlayedClip clip_of(std::string path, std::string codec, Size size, double fps) {
  return {std::move(path), {.codec = std::move(codec), .size = size, .frame_rate_hz = fps}};
}

Workload workload_of(std::vector<CameraGroup> groups) {
  Workload workload;
  workload.cameras = std::move(groups);
  return workload;
}

TEST(PlayClips, EachGroupIsWhatItsClipsAre) {
  const Result<ClipWorkload> played = play_clips(
      workload_of({group_of("gates", 3), group_of("yard", 2)}),
      {clip_of("a.mp4", "h264", {640, 360}, 25), clip_of("b.mp4", "hevc", {1920, 1080}, 12)});
  ASSERT_TRUE(played) << played.error().message();
  // In turn over all cameras: a b a, then b a.
  const std::vector<CameraGroup>& groups = played->workload.cameras;
  ASSERT_EQ(groups.size(), 4U);
  const std::tuple<std::string, std::int64_t, std::string, int, double> want[] = {
      {"gates", 2, "h264", 640, 25},
      {"gates", 1, "hevc", 1920, 12},
      {"yard", 1, "h264", 640, 25},
      {"yard", 1, "hevc", 1920, 12}};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    EXPECT_EQ(std::tuple(groups[i].name, groups[i].count, groups[i].codec,
                         groups[i].resolution.width, groups[i].fps),
              want[i]);
    EXPECT_EQ(groups[i].rate_hz, 10);
  }
  ASSERT_EQ(played->differences.size(), 2U);
  EXPECT_THAT(
      played->differences[0],
      HasSubstr("cameras[gates] are h264 640x360 at 25/s in the workload, and b.mp4 is hevc "
                "1920x1080 at 12/s"));
}

TEST(PlayClips, TheShareStaysThatOfTheGroup) {
  CameraGroup group = group_of("gates", 4);
  group.policy = PolicyKind::kAdaptive;
  group.budget.per_second = 8;  // of 40 sampled
  const Result<ClipWorkload> played = play_clips(
      workload_of({group}),
      {clip_of("a.mp4", "h264", {640, 360}, 25), clip_of("b.mp4", "h264", {640, 360}, 25)});
  ASSERT_TRUE(played);
  for (const CameraGroup& part : played->workload.cameras)
    EXPECT_DOUBLE_EQ(inferred_share(part), .2);
  EXPECT_TRUE(played->differences.empty());
}

TEST(PlayClips, AClipThatIsTooSlowIsRefused) {
  CameraGroup group = group_of("gates", 1);
  group.rate_hz = 25;
  const Result<ClipWorkload> slow =
      play_clips(workload_of({group}), {clip_of("slow.mp4", "h264", {640, 360}, 12)});
  ASSERT_FALSE(slow);
  EXPECT_THAT(slow.error().message(), HasSubstr("cameras[gates].rate: 25"));
  EXPECT_THAT(slow.error().message(), HasSubstr("slow.mp4 has 12"));
  // 24.98 is 25; an unknown rate is that of the workload.
  EXPECT_TRUE(play_clips(workload_of({group}), {clip_of("a.mp4", "h264", {640, 360}, 24.98)}));
  EXPECT_TRUE(play_clips(workload_of({group}), {clip_of("a.mp4", "h264", {640, 360}, 0)}));
}

}  // namespace
}  // namespace framemill
