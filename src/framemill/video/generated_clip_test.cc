#include "framemill/video/generated_clip.h"

#include <string>

#include <gtest/gtest.h>

#include "framemill/video/source.h"
#include "framemill/video/test_clips_for_test.h"

namespace framemill {
namespace {

TEST(GeneratedClip, HoldsAllItsFramesInItsCodec) {
  const TempFolder folder;
  const SystemClock clock;
  for (const char* const codec : {"h264", "hevc", "mjpeg"}) {
    const std::string path = folder / (std::string(codec) + ".mkv");
    const Result<void> made =
        generate_clip({.codec = codec, .size = {320, 180}, .frames = 12}, path);
    if (!made && made.error().code() == ErrorCode::kUnsupported) continue;
    ASSERT_TRUE(made) << made.error().message();
    SourceOptions options;
    options.url = path;
    options.pace = Pace::kFast;
    options.sampling = {.rate_hz = 0};
    const auto source = create_source(options, clock);
    ASSERT_TRUE(source);
    const Result<void> opened = (*source)->open();
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_EQ((*source)->facts().codec, codec);
    EXPECT_EQ((*source)->facts().size, (Size{320, 180}));
    int frames = 0;
    for (;; ++frames) {
      const auto frame = (*source)->read();
      ASSERT_TRUE(frame) << frame.error().message();
      if (!*frame) break;
      EXPECT_FALSE((*frame)->is_failed);
    }
    EXPECT_EQ(frames, 12) << codec;
  }
}

TEST(GeneratedClip, SaysWhatItCannotDo) {
  const TempFolder folder;
  const Result<void> codec = generate_clip({.codec = "vhs"}, folder / "a.mkv");
  ASSERT_FALSE(codec);
  EXPECT_EQ(codec.error().code(), ErrorCode::kUnsupported);
  const Result<void> place = generate_clip({.frames = 1}, folder / "no/such/a.mkv");
  ASSERT_FALSE(place);
  EXPECT_NE(place.error().message().find("cannot be written"), std::string::npos);
}

}  // namespace
}  // namespace framemill
