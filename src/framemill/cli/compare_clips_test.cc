#include "framemill/cli/compare_clips.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::string kClip = std::string(FRAMEMILL_SOURCE_DIR) + "/demo/clips/line.mp4";
const SystemClock kClock;

/// 20 s at 25 frames/s.
RunSettings demo_settings() {
  RunSettings settings;
  settings.cameras = {{.id = "line", .url = kClip, .every = 2}};
  return settings;
}

double sampled_about(const RunSettings& settings) {
  return look_at_clips(settings, kClock).front().sampled_about;
}

WorstMiss miss_at(CameraIndex camera, std::int64_t frame_index) {
  WorstMiss miss;
  miss.camera = camera;
  miss.frame_index = frame_index;
  return miss;
}

TEST(LookAtClips, ExpectsWhatARunSamples) {
  RunSettings settings = demo_settings();
  EXPECT_EQ(sampled_about(settings), 250);
  settings.engine.max_answers = 7;
  EXPECT_EQ(sampled_about(settings), 7);
  settings.engine.max_answers = 0;
  settings.engine.max_frames = 11;
  EXPECT_EQ(sampled_about(settings), 6);
  settings.engine.max_frames = 0;
  settings.engine.run_for = std::chrono::seconds(4);
  EXPECT_EQ(sampled_about(settings), 50);
  settings.engine.run_for = {};
  settings.cameras[0].start = std::chrono::seconds(10);
  EXPECT_EQ(sampled_about(settings), 125);
  settings.cameras[0].every = 0;
  settings.cameras[0].rate_hz = 5;
  EXPECT_EQ(sampled_about(settings), 50);
}

TEST(LookAtClips, NamesEachThatCannotBeRead) {
  RunSettings settings = demo_settings();
  settings.cameras.push_back({.id = "none", .url = "none.mp4"});
  settings.cameras.push_back({.id = "code", .url = __FILE__});
  const std::vector<ClipFacts> clips = look_at_clips(settings, kClock);
  EXPECT_THAT(clips[0].problem, IsEmpty());
  EXPECT_THAT(clips[1].problem, HasSubstr("none.mp4"));
  EXPECT_THAT(clips[2].problem, HasSubstr("compare_clips_test.cc"));
}

TEST(DrawMissedFrames, DrawsTheFramesThatWereSampledInTheOrderAsked) {
  const RunSettings settings = demo_settings();
  const std::vector<WorstMiss> misses = {miss_at(0, 40), miss_at(0, 0), miss_at(0, 40),
                                         miss_at(0, 41), miss_at(0, 100'000)};
  const auto pictures = draw_missed_frames(settings, misses, kClock, [] { return false; });
  ASSERT_EQ(pictures.size(), misses.size());
  ASSERT_GT(pictures[0].size(), 1000U);
  EXPECT_EQ(pictures[0][0], 0xFF);  // a JPEG begins FF D8
  EXPECT_EQ(pictures[0][1], 0xD8);
  EXPECT_EQ(pictures[0], pictures[2]);
  EXPECT_NE(pictures[0], pictures[1]);
  EXPECT_THAT(pictures[3], IsEmpty());  // not sampled
  EXPECT_THAT(pictures[4], IsEmpty());  // beyond the end
}

TEST(DrawMissedFrames, AMissingClipLeavesItsPicturesOut) {
  RunSettings settings = demo_settings();
  settings.cameras.push_back({.id = "none", .url = "none.mp4", .every = 2});
  const auto pictures = draw_missed_frames(
      settings, std::vector<WorstMiss>{miss_at(1, 0), miss_at(0, 0)}, kClock, [] { return false; });
  EXPECT_THAT(pictures[0], IsEmpty());
  EXPECT_GT(pictures[1].size(), 1000U);
}

TEST(DrawMissedFrames, StopsWhenAsked) {
  const auto pictures = draw_missed_frames(demo_settings(), std::vector<WorstMiss>{miss_at(0, 0)},
                                           kClock, [] { return true; });
  EXPECT_THAT(pictures[0], IsEmpty());
}

}  // namespace
}  // namespace framemill
