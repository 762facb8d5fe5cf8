#include "framemill/video/synthetic_source.h"

#include <cstring>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using std::chrono::milliseconds;

SourceOptions options_for(const std::string& url, Pace pace = Pace::kFast) {
  SourceOptions options;
  options.url = url;
  options.pace = pace;
  options.sampling = {.every = 1};
  return options;
}

std::vector<SourceFrame> read_all(Source& source, std::size_t most) {
  std::vector<SourceFrame> frames;
  while (frames.size() < most) {
    Result<std::optional<SourceFrame>> frame = source.read();
    EXPECT_TRUE(frame) << frame.error().message();
    if (!frame || !*frame) break;
    frames.push_back(std::move(**frame));
  }
  return frames;
}

bool is_same_picture(const Picture& a, const Picture& b) {
  if (a.size != b.size) return false;
  for (int y = 0; y < a.size.height; ++y)
    if (std::memcmp(a.planes[0].data + y * a.planes[0].stride,
                    b.planes[0].data + y * b.planes[0].stride,
                    static_cast<std::size_t>(a.size.width)) != 0)
      return false;
  return true;
}

TEST(ParseSyntheticUrl, ReadsEveryKey) {
  const auto scene =
      parse_synthetic_url("synthetic://?size=320x180&rate=12.5&objects=7&seed=9&frames=40");
  ASSERT_TRUE(scene) << scene.error().message();
  EXPECT_EQ(*scene, (SyntheticScene{{320, 180}, 12.5, 7, 9, 40}));
  EXPECT_EQ(*parse_synthetic_url("synthetic://"), SyntheticScene{});
}

TEST(ParseSyntheticUrl, RefusesWhatItDoesNotKnow) {
  for (const char* query :
       {"size=320", "size=0x10", "rate=0", "rate=x", "objects=-1", "seed=1.5", "frames=-3",
        "colour=red", "size=", "rate=nan", "=3", "size=99999x20"}) {
    const auto scene = parse_synthetic_url(std::string("synthetic://?") + query);
    ASSERT_FALSE(scene) << query;
    EXPECT_EQ(scene.error().code(), ErrorCode::kInvalidArgument) << query;
  }
}

TEST(SyntheticTruth, StaysInsideMovesSmoothlyAndDependsOnTheSeed) {
  const SyntheticScene scene{{641, 359}, 25, 20, 5, 0};
  std::vector<Detection> before = synthetic_truth(scene, 0);
  ASSERT_EQ(before.size(), 20U);
  int moved = 0;
  for (std::int64_t n = 1; n < 2000; ++n) {
    const std::vector<Detection> now = synthetic_truth(scene, n);
    for (std::size_t i = 0; i < now.size(); ++i) {
      EXPECT_EQ(clip(now[i].box, scene.size), now[i].box) << "frame " << n;
      EXPECT_LE(std::abs(now[i].box.x1 - before[i].box.x1), 4) << "frame " << n;
      EXPECT_FLOAT_EQ(area(now[i].box), area(before[i].box));
      moved += now[i].box != before[i].box;
    }
    before = now;
  }
  EXPECT_GT(moved, 20'000);
  SyntheticScene other = scene;
  other.seed = 6;
  EXPECT_NE(synthetic_truth(scene, 3), synthetic_truth(other, 3));
}

TEST(SyntheticPainter, DrawsWhereTheTruthIsAndNowhereElse) {
  const SyntheticScene scene{{320, 180}, 25, 1, 3, 0};
  SyntheticScene empty = scene;
  empty.objects = 0;
  const SyntheticPainter painter(scene), bare(empty);
  for (const std::int64_t n : {0, 17, 400}) {
    const auto picture = painter.paint(n), background = bare.paint(n);
    const Box box = synthetic_truth(scene, n).front().box;
    int inside = 0;
    for (int y = 0; y < 180; ++y)
      for (int x = 0; x < 320; ++x) {
        const bool is_inside = static_cast<float>(x) >= box.x1 && static_cast<float>(x) < box.x2 &&
                               static_cast<float>(y) >= box.y1 && static_cast<float>(y) < box.y2;
        const auto at = y * picture->planes[0].stride + x;
        if (!is_inside)
          ASSERT_EQ(picture->planes[0].data[at], background->planes[0].data[at]) << x << "," << y;
        else
          inside += picture->planes[0].data[at] != background->planes[0].data[at];
      }
    EXPECT_GT(static_cast<float>(inside), 0.9F * area(box)) << "frame " << n;
  }
}

TEST(SyntheticSource, DeliversEachFrameOnceAndPaintsOnlySampledOnes) {
  const SystemClock clock;
  SourceOptions options = options_for("synthetic://?frames=50&size=64x48");
  options.sampling = {.rate_hz = 10};
  SyntheticSource source(options, clock);
  ASSERT_TRUE(source.open());
  const auto frames = read_all(source, 1000);
  ASSERT_EQ(frames.size(), 50U);
  int sampled = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].frame_index, static_cast<std::int64_t>(i));
    EXPECT_DOUBLE_EQ(frames[i].pts_s, static_cast<double>(i) / 25);
    EXPECT_EQ(frames[i].picture != nullptr, frames[i].is_sampled);
    sampled += frames[i].is_sampled;
  }
  EXPECT_EQ(sampled, 20);
  EXPECT_EQ(source.counts().frames_decoded, 20);
  EXPECT_EQ(source.counts().packets_skipped, 30);
}

TEST(SyntheticSource, ALoopContinuesTimeAndRepeatsPictures) {
  const SystemClock clock;
  SourceOptions options = options_for("synthetic://?frames=4&size=64x48&rate=10");
  options.is_looped = true;
  options.start = milliseconds(250);
  SyntheticSource source(options, clock);
  ASSERT_TRUE(source.open());
  const auto frames = read_all(source, 9);
  ASSERT_EQ(frames.size(), 9U);
  const std::vector<std::int64_t> places{3, 0, 1, 2, 3, 0, 1, 2, 3};
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].frame_index, static_cast<std::int64_t>(i));
    EXPECT_EQ(frames[i].file_frame_index, places[i]) << i;
    EXPECT_EQ(frames[i].is_loop_start, i > 0 && places[i] == 0) << i;
    EXPECT_NEAR(frames[i].pts_s, static_cast<double>(i) / 10, 1e-9);
  }
  EXPECT_TRUE(is_same_picture(*frames[1].picture, *frames[5].picture));
  EXPECT_FALSE(is_same_picture(*frames[1].picture, *frames[2].picture));
}

TEST(SyntheticSource, AtPaceLiveFramesComeAtTheirTimeAndLateOnesAtOnce) {
  ManualClock clock;
  SyntheticSource source(options_for("synthetic://?size=64x48&rate=10", Pace::kLive), clock);
  ASSERT_TRUE(source.open());
  const TimePoint begin = clock.now();
  ASSERT_TRUE(source.read());  // the first one comes at once
  auto second = std::async(std::launch::async, [&source] { return source.read(); });
  clock.advance(milliseconds(100));
  const auto frame = second.get();
  ASSERT_TRUE(frame);
  EXPECT_EQ((*frame)->captured_mono, begin + milliseconds(100));
  clock.advance(milliseconds(1000));  // the reader was away: frames keep the time they were due
  for (int i = 2; i <= 11; ++i) {
    const auto late = source.read();
    ASSERT_TRUE(late);
    EXPECT_EQ((*late)->captured_mono, begin + milliseconds(100 * i));
  }
}

TEST(SyntheticSource, InterruptEndsAWait) {
  ManualClock clock;
  SyntheticSource source(options_for("synthetic://?size=64x48", Pace::kLive), clock);
  ASSERT_TRUE(source.open());
  ASSERT_TRUE(source.read());
  auto blocked = std::async(std::launch::async, [&source] { return source.read(); });
  source.interrupt();
  const auto frame = blocked.get();
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().code(), ErrorCode::kCancelled);
}

}  // namespace
}  // namespace framemill
