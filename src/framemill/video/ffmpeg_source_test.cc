#include "framemill/video/ffmpeg_source.h"

#include <algorithm>
#include <future>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "framemill/video/test_clips_for_test.h"

namespace framemill {
namespace {

using std::chrono::milliseconds;

const SystemClock kClock;

ReadThrough read_clip(const SourceOptions& options, std::size_t most = SIZE_MAX) {
  FfmpegSource source(options, kClock);
  return read_through(source, most);
}

std::vector<std::string> pictures_of(const ReadThrough& through) {
  std::vector<std::string> pictures;
  for (const SourceFrame& frame : through.frames)
    pictures.push_back(frame.picture != nullptr ? samples_of(*frame.picture) : "");
  return pictures;
}

struct ClipCase {
  const char* name;
  const char* file;
  const char* encode;
  const char* size;
  PixelFormat format;
  ColorRange range;
  const char* raw_format;      ///< ffmpeg's name for our samples; null: converted
  bool has_skippable = false;  ///< frames that no other refers to
};

std::ostream& operator<<(std::ostream& out, const ClipCase& c) { return out << c.name; }

class EveryKindOfClip : public testing::TestWithParam<ClipCase> {};

TEST_P(EveryKindOfClip, GivesEachFrameOnceAsTheReferenceDecoderDoes) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const ClipCase& clip = GetParam();
  const std::string path = folder / clip.file;
  if (!make_clip(path, clip.encode, clip.size)) GTEST_SKIP() << "this ffmpeg lacks the encoder";

  const ReadThrough through = read_clip(file_options(path));
  ASSERT_FALSE(through.error) << through.error->message();
  ASSERT_EQ(through.frames.size(), 50U);
  for (std::size_t i = 0; i < through.frames.size(); ++i) {
    const SourceFrame& frame = through.frames[i];
    EXPECT_EQ(frame.frame_index, static_cast<std::int64_t>(i));
    EXPECT_NEAR(frame.pts_s, static_cast<double>(i) / 25, 0.002) << i;
    ASSERT_TRUE(frame.picture) << i;
    EXPECT_EQ(frame.picture->format, clip.format);
    EXPECT_EQ(frame.picture->range, clip.range);
  }
  if (clip.raw_format == nullptr) return;
  const std::string raw = folder / "reference.yuv";
  ASSERT_TRUE(run_ffmpeg("-i '" + path + "' -fps_mode passthrough -f rawvideo -pix_fmt " +
                         clip.raw_format + " '" + raw + "'"));
  std::string samples;
  for (const std::string& picture : pictures_of(through)) samples += picture;
  EXPECT_TRUE(samples == read_file(raw)) << "not the samples of the reference decoder";
}

TEST_P(EveryKindOfClip, SkippingChangesNoSampledFrame) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const ClipCase& clip = GetParam();
  const std::string path = folder / clip.file;
  if (!make_clip(path, clip.encode, clip.size)) GTEST_SKIP() << "this ffmpeg lacks the encoder";
  for (const SamplerOptions sampling :
       {SamplerOptions{.every = 3}, SamplerOptions{.every = 7}, SamplerOptions{.rate_hz = 10},
        SamplerOptions{.rate_hz = 1}}) {
    SourceOptions options = file_options(path);
    options.sampling = sampling;
    FfmpegSource skipping(options, kClock);
    FfmpegSource complete(options, kClock, FfmpegSource::Skipping::kOff);
    const ReadThrough some = read_through(skipping), all = read_through(complete);
    ASSERT_EQ(some.frames.size(), 50U);
    ASSERT_EQ(all.frames.size(), 50U);
    for (std::size_t i = 0; i < 50; ++i) {
      EXPECT_EQ(some.frames[i].is_sampled, all.frames[i].is_sampled) << i;
      EXPECT_FALSE(some.frames[i].is_failed) << i;
      EXPECT_EQ(some.frames[i].pts_s, all.frames[i].pts_s) << i;
    }
    EXPECT_TRUE(pictures_of(some) == pictures_of(all));
    const SourceCounts counts = skipping.counts();
    EXPECT_EQ(counts.packets, 50);
    EXPECT_EQ(counts.packets_skipped + counts.frames_decoded, 50);
    EXPECT_EQ(complete.counts().frames_decoded, 50);
    if (sampling.every == 7) {
      EXPECT_EQ(counts.packets_skipped > 0, clip.has_skippable);
    }
  }
}

constexpr auto kLimited = ColorRange::kLimited, kFull = ColorRange::kFull;
const ClipCase kClips[] = {
    {"h264", "a.mp4", "-c:v libx264 -bf 0 -pix_fmt yuv420p", "160x120", PixelFormat::kI420,
     kLimited, "yuv420p"},
    {"h264_b", "a.mp4", "-c:v libx264 -bf 3 -b-pyramid normal -g 20 -pix_fmt yuv420p", "160x120",
     PixelFormat::kI420, kLimited, "yuv420p", true},
    {"h264_b_deep", "a.mkv", "-c:v libx264 -bf 7 -refs 5 -x264-params b-adapt=0 -pix_fmt yuv420p",
     "160x120", PixelFormat::kI420, kLimited, "yuv420p", true},
    {"h264_b_open_gop", "a.ts", "-c:v libx264 -bf 2 -g 12 -x264-params open-gop=1 -pix_fmt yuv420p",
     "160x120", PixelFormat::kI420, kLimited, "yuv420p", true},
    {"h264_odd_size", "a.mp4", "-c:v libx264 -pix_fmt yuv444p", "157x91", PixelFormat::kI444,
     kLimited, "yuv444p", true},
    {"h264_cropped", "a.mp4", "-c:v libx264 -pix_fmt yuv420p", "150x86", PixelFormat::kI420,
     kLimited, "yuv420p", true},
    {"h264_one_key", "a.mp4", "-c:v libx264 -g 1000 -bf 2 -pix_fmt yuv420p", "160x120",
     PixelFormat::kI420, kLimited, "yuv420p", true},
    {"h264_full_range", "a.mp4",
     "-vf scale=out_range=full -c:v libx264 -color_range pc -pix_fmt yuv420p", "160x120",
     PixelFormat::kI420, kFull, "yuvj420p", true},
    {"h264_422", "a.mp4", "-c:v libx264 -pix_fmt yuv422p", "160x120", PixelFormat::kI422, kLimited,
     "yuv422p", true},
    {"h264_gray", "a.mp4", "-c:v libx264 -pix_fmt gray", "160x120", PixelFormat::kI420, kFull,
     "yuvj420p", true},
    {"ffv1_gray", "a.mkv", "-c:v ffv1 -pix_fmt gray", "160x120", PixelFormat::kGray, kFull, "gray",
     false},
    {"h264_10_bit", "a.mp4", "-c:v libx264 -pix_fmt yuv420p10le", "160x120", PixelFormat::kI420,
     kLimited, nullptr, true},
    {"h264_raw", "a.h264", "-c:v libx264 -bf 0 -pix_fmt yuv420p", "160x120", PixelFormat::kI420,
     kLimited, "yuv420p"},
    {"h265_b", "a.mp4",
     "-c:v libx265 -x265-params log-level=none:bframes=3:pools=none "
     "-pix_fmt yuv420p",
     "160x120", PixelFormat::kI420, kLimited, "yuv420p", true},
    {"h265_layers", "a.mkv",
     "-c:v libx265 -x265-params "
     "log-level=none:bframes=3:temporal-layers=2:pools=none -pix_fmt yuv420p",
     "160x120", PixelFormat::kI420, kLimited, "yuv420p", true},
    {"mpeg4_b", "a.mp4", "-c:v mpeg4 -bf 2 -pix_fmt yuv420p", "160x120", PixelFormat::kI420,
     kLimited, "yuv420p", true},
    {"mpeg4_avi", "a.avi", "-c:v mpeg4 -bf 2 -pix_fmt yuv420p", "160x120", PixelFormat::kI420,
     kLimited, "yuv420p", false},
    {"mpeg2_b", "a.ts", "-c:v mpeg2video -bf 2 -pix_fmt yuv420p", "160x120", PixelFormat::kI420,
     kLimited, "yuv420p", true},
    {"mjpeg", "a.avi", "-c:v mjpeg -pix_fmt yuvj422p", "160x120", PixelFormat::kI422, kFull,
     "yuvj422p", true},
    {"rgb24", "a.avi", "-c:v rawvideo -pix_fmt bgr24", "160x120", PixelFormat::kI444, kFull,
     nullptr, true},
    {"yuyv", "a.avi", "-c:v rawvideo -pix_fmt yuyv422", "160x120", PixelFormat::kI422, kLimited,
     "yuv422p", true},
};
INSTANTIATE_TEST_SUITE_P(Made, EveryKindOfClip, testing::ValuesIn(kClips),
                         [](const auto& clip) { return std::string(clip.param.name); });

TEST(FfmpegSource, ALowDelayStreamGivesEachFrameWithItsOwnPacket) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.mp4";
  for (const char* encode :
       {"-c:v libx264 -bf 0 -pix_fmt yuv420p", "-c:v libx264 -profile:v baseline -pix_fmt yuv420p",
        "-c:v libx265 -x265-params log-level=none:bframes=0 -pix_fmt yuv420p",
        "-c:v mjpeg -pix_fmt yuvj420p"}) {
    ASSERT_TRUE(make_clip(path, encode));
    FfmpegSource source(file_options(path), kClock);
    ASSERT_TRUE(source.open());
    for (std::int64_t i = 0; i < 50; ++i) {
      ASSERT_TRUE(source.read());
      EXPECT_EQ(source.counts().packets, i + 1) << encode;
    }
  }
}

TEST(FfmpegSource, PicturesOutliveTheSource) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.mp4";
  ASSERT_TRUE(make_clip(path, "-c:v libx264 -pix_fmt yuv420p"));
  ReadThrough through = read_clip(file_options(path));
  const std::vector<std::string> now = pictures_of(through),
                                 again = pictures_of(read_clip(file_options(path)));
  EXPECT_TRUE(now == again);
}

TEST(FfmpegSource, ALoopContinuesIndexAndTime) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  for (const char* name : {"a.mp4", "a.ts", "a.mkv", "a.avi", "a.h264"}) {
    const std::string path = folder / name;
    const std::string b_frames = std::string(name) == "a.h264" ? "-bf 0" : "-bf 2";
    ASSERT_TRUE(make_clip(path, "-c:v libx264 -g 10 -pix_fmt yuv420p " + b_frames, "64x48", 25, 1));
    SourceOptions options = file_options(path);
    options.is_looped = true;
    const ReadThrough through = read_clip(options, 80);
    ASSERT_FALSE(through.error) << through.error->message();
    const std::vector<std::string> pictures = pictures_of(through);
    for (std::size_t i = 0; i < 80; ++i) {
      const SourceFrame& frame = through.frames[i];
      EXPECT_EQ(frame.frame_index, static_cast<std::int64_t>(i)) << name;
      EXPECT_EQ(frame.file_frame_index, static_cast<std::int64_t>(i % 25)) << name << i;
      EXPECT_EQ(frame.is_loop_start, i > 0 && i % 25 == 0) << name << i;
      EXPECT_NEAR(frame.pts_s, static_cast<double>(i) / 25, 0.01) << name << i;
      EXPECT_FALSE(frame.is_failed);
      EXPECT_TRUE(pictures[i] == pictures[i % 25]) << name << " frame " << i;
    }
  }
}

TEST(FfmpegSource, StartsInTheMiddle) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.mp4";
  ASSERT_TRUE(make_clip(path, "-c:v libx264 -g 20 -bf 2 -pix_fmt yuv420p"));
  const std::vector<std::string> all = pictures_of(read_clip(file_options(path)));
  SourceOptions options = file_options(path);
  options.is_looped = true;
  options.start = milliseconds(1200);  // frame 30; key frames are 20 and 40
  const ReadThrough through = read_clip(options, 40);
  ASSERT_FALSE(through.error) << through.error->message();
  const std::vector<std::string> pictures = pictures_of(through);
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(through.frames[i].frame_index, static_cast<std::int64_t>(i));
    const std::size_t place = (i + 30) % 50;
    EXPECT_EQ(through.frames[i].file_frame_index, static_cast<std::int64_t>(place));
    EXPECT_TRUE(pictures[i] == all[place]) << i;
    EXPECT_NEAR(through.frames[i].pts_s, static_cast<double>(i) / 25, 0.002);
  }
  options.start = std::chrono::seconds(5);
  const ReadThrough behind = read_clip(options);
  ASSERT_TRUE(behind.error);
  EXPECT_EQ(behind.error->code(), ErrorCode::kInvalidArgument) << behind.error->message();
}

TEST(FfmpegSource, AtPaceLiveFramesComeAtTheirDecodeTime) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.mp4";
  ASSERT_TRUE(make_clip(path, "-c:v libx264 -bf 0 -pix_fmt yuv420p"));
  ManualClock clock;
  SourceOptions options = file_options(path);
  options.pace = Pace::kLive;
  FfmpegSource source(options, clock);
  ASSERT_TRUE(source.open());
  const TimePoint begin = clock.now();
  ASSERT_TRUE(source.read());
  auto second = std::async(std::launch::async, [&source] { return source.read(); });
  clock.advance(milliseconds(40));
  auto frame = second.get();
  ASSERT_TRUE(frame);
  EXPECT_EQ((*frame)->captured_mono, begin + milliseconds(40));
  // The reader was away for 1 s: what a camera would have sent meanwhile is there, as old as it is.
  clock.advance(milliseconds(1000));
  for (int i = 2; i <= 26; ++i) {
    frame = source.read();
    ASSERT_TRUE(frame);
    EXPECT_EQ((*frame)->captured_mono, begin + milliseconds(40 * i)) << i;
    EXPECT_EQ((*frame)->captured_at, WallTime(milliseconds(40 * i))) << i;
  }
  auto blocked = std::async(std::launch::async, [&source] { return source.read(); });
  source.interrupt();
  frame = blocked.get();
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().code(), ErrorCode::kCancelled);
}

TEST(FfmpegSource, ReorderDelayIsTheWaitForLaterPackets) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.mp4";
  ASSERT_TRUE(make_clip(path, "-c:v libx264 -bf 1 -x264-params b-adapt=0 -g 100 -pix_fmt yuv420p"));
  SourceOptions options = file_options(path);
  options.pace = Pace::kLive;
  ManualClock clock;
  clock.advance(std::chrono::hours(1));
  FfmpegSource source(options, clock);
  ASSERT_TRUE(source.open());
  auto frames = std::async(std::launch::async, [&source] {
    std::vector<SourceFrame> read;
    while (auto frame = source.read()) {
      if (!*frame) break;
      read.push_back(std::move(**frame));
    }
    return read;
  });
  while (frames.wait_for(milliseconds(0)) != std::future_status::ready)
    clock.advance(milliseconds(40));
  int waited = 0;
  for (const SourceFrame& frame : frames.get()) {
    EXPECT_GE(frame.reorder_delay, Duration::zero());
    EXPECT_LE(frame.reorder_delay, milliseconds(120)) << frame.frame_index;
    waited += frame.reorder_delay >= milliseconds(40);
  }
  EXPECT_GE(waited, 20);  // each P frame waits for the B frame shown before it
}

TEST(FfmpegSource, SizeAndFormatMayChangeInMidStream) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string first = folder / "1.ts", second = folder / "2.ts";
  ASSERT_TRUE(make_clip(first, "-c:v libx264 -bf 2 -pix_fmt yuv420p", "160x120", 25, 1));
  ASSERT_TRUE(make_clip(second, "-c:v libx264 -bf 2 -pix_fmt yuv444p", "96x64", 10, 1));
  const std::string path = folder / "both.ts";
  write_file(path, read_file(first) + read_file(second));
  FfmpegSource source(file_options(path), kClock);
  const ReadThrough through = read_through(source);
  ASSERT_FALSE(through.error) << through.error->message();
  ASSERT_EQ(through.frames.size(), 35U);
  EXPECT_EQ(through.frames[24].picture->size, (Size{160, 120}));
  EXPECT_EQ(through.frames[25].picture->size, (Size{96, 64}));
  EXPECT_EQ(through.frames[25].picture->format, PixelFormat::kI444);
  EXPECT_EQ(source.facts().size, (Size{96, 64}));
  // The second part's time stamps begin anew; ours go on.
  for (std::size_t i = 1; i < through.frames.size(); ++i)
    EXPECT_GT(through.frames[i].pts_s, through.frames[i - 1].pts_s) << i;
  EXPECT_LT(through.frames.back().pts_s, 2.5);
}

TEST(FfmpegSource, GarbageCostsTheFramesItHitsAndNoMore) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.avi";
  ASSERT_TRUE(make_clip(path, "-c:v mjpeg -pix_fmt yuvj420p -q:v 5"));
  std::string bytes = read_file(path);
  const std::size_t middle = bytes.find("\xFF\xD8", bytes.size() / 2);  // a picture's beginning
  ASSERT_NE(middle, std::string::npos);
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(middle), 600, '\x55');
  write_file(path, bytes);
  FfmpegSource source(file_options(path), kClock);
  const ReadThrough through = read_through(source);
  ASSERT_FALSE(through.error) << through.error->message();
  ASSERT_EQ(through.frames.size(), 50U);
  const auto failed = std::ranges::count_if(through.frames, &SourceFrame::is_failed);
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(source.counts().decode_errors, 1);
  for (const SourceFrame& frame : through.frames)
    EXPECT_EQ(frame.picture == nullptr, frame.is_failed) << frame.frame_index;
}

TEST(FfmpegSource, GarbageInH264LeavesTheRestDecodable) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.mp4";
  ASSERT_TRUE(make_clip(path, "-c:v libx264 -g 10 -bf 2 -movflags +faststart -pix_fmt yuv420p"));
  const std::vector<std::string> good = pictures_of(read_clip(file_options(path)));
  std::string bytes = read_file(path);
  const std::size_t middle = bytes.size() / 2;
  for (std::size_t i = middle; i < middle + 400; ++i) bytes[i] = static_cast<char>(i * 131);
  write_file(path, bytes);
  FfmpegSource source(file_options(path), kClock);
  const ReadThrough through = read_through(source);
  ASSERT_FALSE(through.error) << through.error->message();
  ASSERT_EQ(through.frames.size(), 50U);
  EXPECT_GT(source.counts().decode_errors, 0);
  const std::vector<std::string> pictures = pictures_of(through);
  EXPECT_TRUE(std::equal(good.begin(), good.begin() + 10, pictures.begin()));
  EXPECT_TRUE(std::equal(good.end() - 10, good.end(), pictures.end() - 10));
}

TEST(FfmpegSource, GarbageAddsNoLastingDelay) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.ts";
  // Without reorder depth in the stream, the decoder finds it by watching.
  ASSERT_TRUE(make_clip(path,
                        "-c:v libx264 -bf 0 -g 10 -bsf:v h264_metadata=level=4 -pix_fmt yuv420p",
                        "160x120", 25, 12));
  std::string bytes = read_file(path);
  constexpr std::size_t kTsPacket = 188;
  std::mt19937 rng(3);
  for (std::size_t at = bytes.size() / 4; at < bytes.size() / 2; at += kTsPacket)
    if (rng() % 5 == 0)
      for (std::size_t i = 60; i < 140; ++i)
        bytes[at / kTsPacket * kTsPacket + i] = static_cast<char>(rng());
  write_file(path, bytes);
  FfmpegSource source(file_options(path), kClock);
  ASSERT_TRUE(source.open());
  std::int64_t held = 0, delivered = 0;
  while (true) {
    const auto frame = source.read();
    ASSERT_TRUE(frame) << frame.error().message();
    if (!*frame) break;
    ++delivered;
    held = source.counts().packets - delivered;
    if (delivered > 200 && delivered < 290) {
      EXPECT_EQ(held, 0) << "frame " << delivered;
    }
  }
  EXPECT_EQ(delivered, source.counts().packets);
  EXPECT_GT(source.counts().decode_errors, 0);
}

TEST(FfmpegSource, ATruncatedFileGivesWhatIsThere) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "a.ts";
  ASSERT_TRUE(make_clip(path, "-c:v libx264 -g 10 -pix_fmt yuv420p"));
  const std::string bytes = read_file(path);
  write_file(path, bytes.substr(0, bytes.size() * 2 / 3));
  const ReadThrough through = read_clip(file_options(path));
  EXPECT_FALSE(through.error) << through.error->message();
  EXPECT_GT(through.frames.size(), 20U);
  EXPECT_LT(through.frames.size(), 50U);

  const std::string index_first = folder / "b.mp4";
  ASSERT_TRUE(make_clip(index_first, "-c:v libx264 -g 10 -pix_fmt yuv420p -movflags +faststart"));
  EXPECT_FALSE(read_clip(file_options(index_first)).error);
  const std::string announced = read_file(index_first);
  write_file(index_first, announced.substr(0, announced.size() / 2));
  const ReadThrough cut = read_clip(file_options(index_first));
  ASSERT_TRUE(cut.error);
  EXPECT_NE(cut.error->message().find("it breaks off after"), std::string::npos);
  EXPECT_GT(cut.frames.size(), 5U);
  EXPECT_LT(cut.frames.size(), 45U);

  const std::string mp4 = folder / "a.mp4";  // its index lies at the end
  ASSERT_TRUE(make_clip(mp4, "-c:v libx264 -pix_fmt yuv420p"));
  const std::string whole = read_file(mp4);
  write_file(mp4, whole.substr(0, whole.size() / 2));
  const ReadThrough broken = read_clip(file_options(mp4));
  ASSERT_TRUE(broken.error);
  EXPECT_EQ(broken.error->code(), ErrorCode::kInvalidArgument) << broken.error->message();
}

TEST(FfmpegSource, SaysWhatIsWrong) {
  const TempFolder folder;
  write_file(folder / "empty.mp4", "");
  write_file(folder / "text.txt", "Nothing to see here.\n");
  write_file(folder / "list.m3u8", "#EXTM3U\n#EXTINF:5,\n/etc/hostname\n");
  const std::tuple<std::string, ErrorCode, const char*> cases[] = {
      {folder / "none.mp4", ErrorCode::kNotFound, "no such file"},
      {folder.path(), ErrorCode::kInvalidArgument, "is a directory"},
      {folder / "empty.mp4", ErrorCode::kInvalidArgument, "is empty"},
      {folder / "text.txt", ErrorCode::kInvalidArgument, "is not a video"},
      {folder / "list.m3u8", ErrorCode::kInvalidArgument, "is not a video"},
      {"/dev/null", ErrorCode::kInvalidArgument, "is no regular file"},
      {"/dev/video987", ErrorCode::kNotFound, "/dev/video987"},
      {"rtsp://user:geheim@127.0.0.1:1/x", ErrorCode::kUnavailable, "127.0.0.1:1/x"},
      {"http://127.0.0.1:1/x?password=geheim", ErrorCode::kUnavailable, "check address and port"},
  };
  for (const auto& [url, code, text] : cases) {
    const ReadThrough through = read_clip(file_options(url));
    ASSERT_TRUE(through.error) << url;
    EXPECT_EQ(through.error->code(), code) << through.error->message();
    EXPECT_NE(through.error->message().find(text), std::string::npos) << through.error->message();
    EXPECT_EQ(through.error->message().find("geheim"), std::string::npos);
  }
}

TEST(FfmpegSource, AFileWithoutVideoIsUnsupported) {
  REQUIRE_FFMPEG();
  const TempFolder folder;
  const std::string path = folder / "sound.mp4";
  ASSERT_TRUE(run_ffmpeg("-f lavfi -i sine=duration=1 -c:a aac '" + path + "'"));
  const ReadThrough through = read_clip(file_options(path));
  ASSERT_TRUE(through.error);
  EXPECT_EQ(through.error->code(), ErrorCode::kUnsupported) << through.error->message();
}

TEST(FfmpegSource, InterruptedBeforeOpenItStaysClosed) {
  FfmpegSource source(file_options("rtsp://127.0.0.1:1/x"), kClock);
  source.interrupt();
  const Result<void> opened = source.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kCancelled);
}

}  // namespace
}  // namespace framemill
