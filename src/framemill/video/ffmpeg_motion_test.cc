#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/video/ffmpeg_source.h"
#include "framemill/video/test_clips_for_test.h"

// The promise: with `is_motion_wanted` sampled frames say where their content was in the previous
// sampled one, whatever the structure of the stream, and nothing else about them changes.
namespace framemill {
namespace {

using Kind = MotionCell::Kind;

const SystemClock kClock;

/// A textured object that moves by (speed_x, speed_y) px a frame over textured ground that is
/// still; the camera itself pans by `pan` px a frame.
struct Scene {
  int width = 320, height = 192;
  int object_width = 96, object_height = 80;
  int start_x = 16, start_y = 24;
  double speed_x = 3, speed_y = 1;
  int pan = 0;
  int frames = 40;
  [[nodiscard]] double left(std::int64_t n) const {
    return start_x + speed_x * static_cast<double>(n);
  }
  [[nodiscard]] double top(std::int64_t n) const {
    return start_y + speed_y * static_cast<double>(n);
  }
};

/// Noise smoothed to structures of some pixels, which a codec can follow.
class Texture {
 public:
  Texture(int width, int height, unsigned seed) : width_(width), samples_(area(width, height)) {
    constexpr int kRounds = 3, kContrast = 5, kGray = 128;
    std::mt19937 rng(seed);
    std::vector<double> noise(samples_.size());
    for (double& sample : noise) sample = static_cast<double>(rng() % 256) - kGray;
    const auto w = static_cast<std::size_t>(width);
    for (int round = 0; round < kRounds; ++round) {
      std::vector<double> smooth = noise;
      for (std::size_t i = w + 1; i + w + 1 < noise.size(); ++i)
        smooth[i] = (noise[i - 1] + noise[i + 1] + noise[i - w] + noise[i + w] + noise[i]) / 5;
      noise.swap(smooth);
    }
    for (std::size_t i = 0; i < noise.size(); ++i)
      samples_[i] = std::clamp(kGray + kContrast * noise[i], 16.0, 235.0);
  }
  /// Bilinear; inside.
  [[nodiscard]] double at(double x, double y) const {
    const auto left = static_cast<int>(std::floor(x)), top = static_cast<int>(std::floor(y));
    const double fx = x - left, fy = y - top;
    const auto sample = [this](int i, int j) {
      return samples_[static_cast<std::size_t>(j) * static_cast<std::size_t>(width_) +
                      static_cast<std::size_t>(i)];
    };
    const double upper = sample(left, top) * (1 - fx) + sample(left + 1, top) * fx;
    const double lower = sample(left, top + 1) * (1 - fx) + sample(left + 1, top + 1) * fx;
    return upper * (1 - fy) + lower * fy;
  }

 private:
  static std::size_t area(int width, int height) {
    return static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  }
  int width_;
  std::vector<double> samples_;
};

/// Encodes the scene with ffmpeg's options `encode`. False: this ffmpeg lacks the encoder.
bool make_scene(const Scene& scene, const std::string& path, const std::string& encode) {
  constexpr int kMargin = 4;
  const Texture ground(scene.width + scene.pan * scene.frames + kMargin, scene.height + kMargin, 1);
  const Texture object(scene.object_width + kMargin, scene.object_height + kMargin, 2);
  const std::string raw = path + ".yuv";
  {
    std::ofstream out(raw, std::ios::binary);
    const auto luma_size = static_cast<std::size_t>(scene.width * scene.height);
    const std::string chroma(luma_size / 2, static_cast<char>(128));
    for (int n = 0; n < scene.frames; ++n) {
      std::string luma;
      luma.reserve(luma_size);
      for (int y = 0; y < scene.height; ++y) {
        for (int x = 0; x < scene.width; ++x) {
          const double ox = x - scene.left(n), oy = y - scene.top(n);
          const bool is_object =
              ox >= 0 && oy >= 0 && ox < scene.object_width && oy < scene.object_height;
          luma.push_back(static_cast<char>(
              std::lround(is_object ? object.at(ox, oy) : ground.at(x + scene.pan * n, y))));
        }
      }
      out << luma << chroma;
    }
  }
  const std::string size = std::to_string(scene.width) + "x" + std::to_string(scene.height);
  const bool is_made =
      run_ffmpeg("-f rawvideo -pix_fmt yuv420p -framerate 25 -s " + size + " -i '" + raw +
                 "' -pix_fmt yuv420p " + encode + " '" + path + "' 2>&1");
  std::filesystem::remove(raw);
  return is_made;
}

/// How the cells of a field agree with what is known of the scene, over all sampled frames.
struct Agreement {
  int fields = 0;
  int samples = 0;  ///< that have a previous one
  int object_cells = 0, object_right = 0;
  int ground_cells = 0, ground_right = 0;
  [[nodiscard]] double object_share() const { return double(object_right) / object_cells; }
  [[nodiscard]] double ground_share() const { return double(ground_right) / ground_cells; }
};

/// Over cells that lie wholly on the object, or whose place neither frame's object touches.
Agreement agreement_of(const Scene& scene, const std::vector<SourceFrame>& frames) {
  Agreement sum;
  std::int64_t previous = -1;
  for (const SourceFrame& frame : frames) {
    if (!frame.is_sampled) {
      EXPECT_FALSE(frame.motion);
      continue;
    }
    const std::int64_t now = frame.file_frame_index.value_or(frame.frame_index);
    const std::int64_t before = std::exchange(previous, now);
    if (before < 0 || before > now) {
      EXPECT_FALSE(frame.motion) << "nothing is known across the beginning of a round";
      continue;
    }
    ++sum.samples;
    if (!frame.motion) continue;
    ++sum.fields;
    const MotionField& field = *frame.motion;
    EXPECT_EQ(field.picture_size, (Size{scene.width, scene.height}));
    const auto steps = static_cast<double>(now - before);
    const int side = field.cell_px;
    for (int row = 0; row < field.rows; ++row) {
      for (int column = 0; column < field.columns; ++column) {
        const int x = column * side, y = row * side;
        const auto overlap = [&](std::int64_t n, double margin) {
          return x + side > scene.left(n) - margin && y + side > scene.top(n) - margin &&
                 x < scene.left(n) + scene.object_width + margin &&
                 y < scene.top(n) + scene.object_height + margin;
        };
        const bool is_object = x >= scene.left(now) && y >= scene.top(now) &&
                               x + side <= scene.left(now) + scene.object_width &&
                               y + side <= scene.top(now) + scene.object_height;
        const MotionCell& cell = field.at(column, row);
        const auto is_near = [&cell](double dx, double dy) {
          return cell.kind != Kind::kUnknown && std::abs(cell.dx - dx) <= 1 &&
                 std::abs(cell.dy - dy) <= 1;
        };
        if (is_object) {
          ++sum.object_cells;
          sum.object_right += is_near(steps * scene.speed_x, steps * scene.speed_y);
        } else if (!overlap(now, side) && !overlap(before, side)) {
          ++sum.ground_cells;
          sum.ground_right += is_near(-steps * scene.pan, 0);
        }
      }
    }
  }
  return sum;
}

std::vector<SourceFrame> read_frames(const SourceOptions& options, FfmpegSource::Skipping skipping,
                                     std::size_t most = SIZE_MAX) {
  FfmpegSource source(options, kClock, skipping);
  ReadThrough through = read_through(source, most);
  EXPECT_FALSE(through.error) << through.error->message();
  return std::move(through.frames);
}

SourceOptions motion_options(const std::string& path, std::int64_t every) {
  SourceOptions options = file_options(path, every);
  options.is_motion_wanted = true;
  return options;
}

bool is_same(const std::shared_ptr<const MotionField>& a,
             const std::shared_ptr<const MotionField>& b) {
  if (!a || !b) return !a && !b;
  return a->cell_px == b->cell_px && a->picture_size == b->picture_size &&
         std::ranges::equal(a->cells, b->cells, [](const MotionCell& x, const MotionCell& y) {
           return x.dx == y.dx && x.dy == y.dy && x.kind == y.kind;
         });
}

struct CodecCase {
  const char* name;
  const char* file;
  const char* encode;
  double object_share_min;  ///< of the object's cells right within 1 px
  double ground_share_min;
  bool is_last_bare = false;  ///< drained without vectors by FFmpeg at the end of the file
};
std::ostream& operator<<(std::ostream& out, const CodecCase& c) { return out << c.name; }

class EveryStructure : public testing::TestWithParam<CodecCase> {};

TEST_P(EveryStructure, FieldsSayTheTrueMotion) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / GetParam().file;
  const Scene scene;
  if (!make_scene(scene, path, GetParam().encode)) GTEST_SKIP() << "this ffmpeg lacks the encoder";
  for (const std::int64_t every : {1, 2, 3, 5}) {
    SCOPED_TRACE(testing::Message() << "every " << every);
    const auto some = read_frames(motion_options(path, every), FfmpegSource::Skipping::kOn);
    const auto all = read_frames(motion_options(path, every), FfmpegSource::Skipping::kOff);
    const auto plain = read_frames(file_options(path, every), FfmpegSource::Skipping::kOn);
    ASSERT_EQ(some.size(), static_cast<std::size_t>(scene.frames));
    ASSERT_EQ(all.size(), some.size());
    ASSERT_EQ(plain.size(), some.size());
    for (std::size_t i = 0; i < some.size(); ++i) {
      EXPECT_TRUE(is_same(some[i].motion, all[i].motion)) << i;
      EXPECT_FALSE(plain[i].motion);
      if (!some[i].is_sampled) continue;
      ASSERT_TRUE(some[i].picture && plain[i].picture) << i;
      EXPECT_TRUE(samples_of(*some[i].picture) == samples_of(*plain[i].picture)) << i;
    }
    Duration composing{0};
    for (const SourceFrame& frame : some) composing += frame.motion_cpu;
    EXPECT_GT(composing, Duration::zero()) << "it is told what that took";
    EXPECT_EQ(plain.front().motion_cpu, Duration::zero());
    const Agreement agreement = agreement_of(scene, some);
    const bool is_last_sampled = some.back().is_sampled;
    EXPECT_EQ(agreement.fields,
              agreement.samples - (GetParam().is_last_bare && is_last_sampled ? 1 : 0));
    ASSERT_GT(agreement.object_cells, 0);
    EXPECT_GE(agreement.object_share(), GetParam().object_share_min);
    EXPECT_GE(agreement.ground_share(), GetParam().ground_share_min);
  }
}

// What remains is the encoder's choice (a block on the object's edge goes with the ground, an older
// reference fits as well) and grows with the number of steps and their length.
const CodecCase kCodecs[] = {
    {"h264_baseline", "a.mp4", "-c:v libx264 -profile:v baseline -refs 1 -g 100", 0.9, 0.99},
    {"h264_refs4", "a.mp4", "-c:v libx264 -bf 0 -refs 4 -g 100", 0.65, 0.99},
    {"h264_b2_slices", "a.ts",
     "-c:v libx264 -bf 2 -refs 1 -g 100 -x264-params b-adapt=0:b-pyramid=none:slices=4", 0.9, 0.99},
    {"h264_b3", "a.mp4", "-c:v libx264 -bf 3 -refs 1 -g 100 -x264-params b-adapt=0:b-pyramid=none",
     0.65, 0.99},
    {"h264_b3_pyramid", "a.mp4",
     "-c:v libx264 -bf 3 -refs 1 -g 100 -x264-params b-adapt=0:b-pyramid=normal", 0.65, 0.99},
    {"h264_intra_refresh", "a.ts",
     "-c:v libx264 -bf 0 -refs 1 -x264-params intra-refresh=1:keyint=20", 0.65, 0.85},
    {"mpeg4", "a.avi", "-c:v mpeg4 -b:v 3M -bf 0 -g 100", 0.85, 0.99},
    {"mpeg2", "a.ts", "-c:v mpeg2video -b:v 5M -bf 0 -g 100 -sc_threshold 1000000000", 0.85, 0.99,
     true},
    {"mpeg2_b", "a.ts", "-c:v mpeg2video -b:v 5M -bf 2 -g 100 -sc_threshold 1000000000", 0.85, 0.99,
     true},
};
INSTANTIATE_TEST_SUITE_P(Made, EveryStructure, testing::ValuesIn(kCodecs),
                         [](const auto& made) { return std::string(made.param.name); });

TEST(FfmpegMotion, APanIsSeenEverywhere) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.mp4";
  Scene scene;
  scene.pan = 4;
  scene.speed_x = scene.speed_y = 0;
  ASSERT_TRUE(make_scene(scene, path, "-c:v libx264 -bf 0 -refs 1 -g 100"));
  for (const std::int64_t every : {1, 3}) {
    const Agreement agreement =
        agreement_of(scene, read_frames(motion_options(path, every), FfmpegSource::Skipping::kOn));
    EXPECT_EQ(agreement.fields, agreement.samples);
    EXPECT_GE(agreement.ground_share(), 0.9);
    EXPECT_GE(agreement.object_share(), 0.9);
  }
}

TEST(FfmpegMotion, LargePicturesHaveLargeCells) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.mp4";
  const Scene scene{.width = 768,
                    .height = 208,
                    .object_width = 144,
                    .object_height = 112,
                    .speed_x = 8,
                    .speed_y = 0.5,
                    .frames = 20};
  ASSERT_TRUE(make_scene(scene, path, "-c:v libx264 -bf 0 -refs 1 -g 100"));
  const auto frames = read_frames(motion_options(path, 2), FfmpegSource::Skipping::kOn);
  ASSERT_TRUE(frames.at(2).motion);
  EXPECT_EQ(frames[2].motion->cell_px, 16);
  const Agreement agreement = agreement_of(scene, frames);
  EXPECT_GE(agreement.object_share(), 0.8);
  EXPECT_GE(agreement.ground_share(), 0.99);
}

TEST(FfmpegMotion, IntraFramesBreakOneStepAndLoopsToo) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const Scene scene;
  for (const char* const name : {"a.mp4", "a.ts"}) {
    const std::string path = folder / name;
    ASSERT_TRUE(make_scene(scene, path,
                           "-c:v libx264 -bf 0 -refs 1 -x264-params keyint=10:"
                           "min-keyint=10:scenecut=0"));
    SourceOptions options = motion_options(path, 2);
    options.is_looped = true;
    const auto frames = read_frames(options, FfmpegSource::Skipping::kOn, 100);
    for (const SourceFrame& frame : frames) {
      if (!frame.is_sampled) continue;
      EXPECT_EQ(frame.motion != nullptr, frame.file_frame_index.value() % 10 != 0)
          << name << " " << frame.frame_index;
    }
    EXPECT_GE(agreement_of(scene, frames).object_share(), 0.9);
  }
}

TEST(FfmpegMotion, AStartBetweenKeyFramesAndALoopBeginAnew) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.mp4";
  const Scene scene;
  // Frame 30 is no key frame: those before it are decoded, but not delivered.
  ASSERT_TRUE(make_scene(scene, path, "-c:v libx264 -bf 2 -refs 1 -g 100"));
  SourceOptions options = motion_options(path, 1);
  options.start = std::chrono::milliseconds(1200);
  options.is_looped = true;
  const auto frames = read_frames(options, FfmpegSource::Skipping::kOn, 60);
  EXPECT_EQ(frames.at(0).file_frame_index, 30);
  EXPECT_FALSE(frames[0].motion);
  EXPECT_TRUE(frames[1].motion);
  EXPECT_FALSE(frames.at(10).motion);
  EXPECT_TRUE(frames[11].motion);
  EXPECT_GE(agreement_of(scene, frames).ground_share(), 0.99);
}

TEST(FfmpegMotion, IsTheSameAtPaceLive) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.mp4";
  ASSERT_TRUE(make_scene({}, path, "-c:v libx264 -bf 3 -g 100 -x264-params b-adapt=0"));
  SourceOptions options = motion_options(path, 3);
  const auto fast = read_frames(options, FfmpegSource::Skipping::kOn);
  options.pace = Pace::kLive;
  ManualClock clock;
  FfmpegSource source(options, clock);
  auto reading = std::async(std::launch::async, [&source] { return read_through(source); });
  while (reading.wait_for(std::chrono::milliseconds(0)) != std::future_status::ready)
    clock.advance(std::chrono::milliseconds(40));
  const ReadThrough live = reading.get();
  ASSERT_EQ(live.frames.size(), fast.size());
  for (std::size_t i = 0; i < fast.size(); ++i)
    EXPECT_TRUE(is_same(live.frames[i].motion, fast[i].motion)) << i;
}

TEST(FfmpegMotion, StreamsThatTellNoneHaveNone) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  for (const auto& [file, encode] :
       {std::pair("a.mp4", "-c:v libx265 -x265-params log-level=error"),
        std::pair("a.mkv", "-c:v mjpeg -q:v 3"),
        // Vectors of fields.
        std::pair("b.mp4", "-c:v libx264 -flags +ilme+ildct"),
        std::pair("a.webm", "-c:v libvpx")}) {
    const std::string path = folder / file;
    if (!make_scene({.frames = 12}, path, encode)) continue;  // this ffmpeg lacks the encoder
    for (const SourceFrame& frame :
         read_frames(motion_options(path, 1), FfmpegSource::Skipping::kOn)) {
      EXPECT_TRUE(frame.picture);
      EXPECT_FALSE(frame.motion) << encode;
    }
  }
}

TEST(FfmpegMotion, BFramesOfMpeg4AreNotBelieved) {
  // FFmpeg exports for them what the buffer held before.
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.avi";
  const Scene scene;
  ASSERT_TRUE(make_scene(scene, path, "-c:v mpeg4 -b:v 3M -bf 2 -g 100"));
  for (const std::int64_t every : {1, 3}) {
    const Agreement agreement =
        agreement_of(scene, read_frames(motion_options(path, every), FfmpegSource::Skipping::kOn));
    if (every == 1) {
      EXPECT_EQ(agreement.fields, 0);
      continue;
    }
    EXPECT_GE(agreement.fields, agreement.samples - 2);  // anchors alone are sampled
    EXPECT_GE(agreement.object_share(), 0.8);
    EXPECT_GE(agreement.ground_share(), 0.99);
  }
}

TEST(FfmpegMotion, BrokenPacketsGiveNoWildFields) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.ts";
  ASSERT_TRUE(make_scene({}, path, "-c:v libx264 -bf 2 -g 12"));
  const std::string good = read_file(path);
  std::mt19937 rng(5);
  for (int round = 0; round < 12; ++round) {
    std::string bad = good;
    for (int n = 0; n < 8; ++n) bad[rng() % bad.size()] = static_cast<char>(rng());
    write_file(path, bad);
    FfmpegSource source(motion_options(path, 2), kClock);
    const ReadThrough through = read_through(source);
    for (const SourceFrame& frame : through.frames) {
      if (!frame.motion) continue;
      EXPECT_TRUE(frame.is_sampled && frame.picture);
      EXPECT_EQ(frame.motion->picture_size, frame.picture->size);
      for (const MotionCell& cell : frame.motion->cells)
        ASSERT_TRUE(std::isfinite(cell.dx) && std::isfinite(cell.dy));
    }
  }
}

}  // namespace
}  // namespace framemill
