#include <random>
#include <string>

#include <gtest/gtest.h>

#include "framemill/video/ffmpeg_source.h"
#include "framemill/video/test_clips_for_test.h"

namespace framemill {
namespace {

/// Damages `bytes` in one of the ways in which files and streams break.
std::string damage(std::string bytes, std::mt19937& rng) {
  const auto place = [&] {
    return std::uniform_int_distribution<std::size_t>(0, bytes.size() - 1)(rng);
  };
  const std::size_t begin = place();
  const std::size_t length = std::min<std::size_t>(bytes.size() - begin, 1 + rng() % 600);
  switch (rng() % 5) {
    case 0:  // single bytes
      for (int i = 0; i < 20; ++i) bytes[place()] = static_cast<char>(rng());
      break;
    case 1:  // a stretch of noise
      for (std::size_t i = 0; i < length; ++i) bytes[begin + i] = static_cast<char>(rng());
      break;
    case 2:  // broken off
      bytes.resize(begin + 1);
      break;
    case 3:  // a hole
      bytes.erase(begin, length);
      break;
    default:  // the head, where counts and sizes stand
      for (int i = 0; i < 8; ++i)
        bytes[place() % std::min<std::size_t>(bytes.size(), 1500)] ^= 1 << rng() % 8;
  }
  return bytes;
}

struct Kind {
  const char* file;
  const char* encode;
};

class DamagedClips : public testing::TestWithParam<Kind> {};

TEST_P(DamagedClips, NeverCrashHangOrMiscount) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / GetParam().file;
  ASSERT_TRUE(make_clip(path, GetParam().encode, "96x64", 25, 1));
  const std::string good = read_file(path);
  const SystemClock clock;
  std::mt19937 rng(17);
  constexpr int kRounds = 60;
  constexpr std::size_t kFramesMax = 2000;  // no damage makes a clip of 25 frames longer than that
  for (int round = 0; round < kRounds; ++round) {
    write_file(path, damage(good, rng));
    SourceOptions options = file_options(path, 1 + round % 3);
    options.is_looped = round % 4 == 0;
    if (round % 5 == 0) options.start = std::chrono::milliseconds(300);
    FfmpegSource source(options, clock);
    const ReadThrough through = read_through(source, options.is_looped ? 60 : kFramesMax);
    EXPECT_LT(through.frames.size(), kFramesMax) << round;
    double before = -1;
    for (std::size_t i = 0; i < through.frames.size(); ++i) {
      const SourceFrame& frame = through.frames[i];
      EXPECT_EQ(frame.frame_index, static_cast<std::int64_t>(i)) << round;
      EXPECT_EQ(frame.is_sampled, frame.frame_index % options.sampling.every == 0) << round;
      EXPECT_EQ(frame.picture != nullptr, frame.is_sampled && !frame.is_failed) << round;
      EXPECT_GE(frame.pts_s, before) << round << " frame " << i;
      before = frame.pts_s;
    }
    if (through.error) {
      EXPECT_FALSE(through.error->message().empty());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Made, DamagedClips,
    testing::Values(Kind{"h264.mp4", "-c:v libx264 -bf 2 -g 8 -pix_fmt yuv420p"},
                    Kind{"h264.ts", "-c:v libx264 -bf 2 -g 8 -pix_fmt yuv420p"},
                    Kind{"h265.mkv",
                         "-c:v libx265 -x265-params log-level=none:bframes=2:pools=none "
                         "-g 8 -pix_fmt yuv420p"},
                    Kind{"mpeg4.avi", "-c:v mpeg4 -bf 2 -g 8"},
                    Kind{"mjpeg.avi", "-c:v mjpeg -pix_fmt yuvj420p"},
                    Kind{"raw.h264", "-c:v libx264 -bf 0 -g 8 -pix_fmt yuv420p"}),
    [](const auto& kind) {
      std::string name = kind.param.file;
      name[name.find('.')] = '_';
      return name;
    });

}  // namespace
}  // namespace framemill
