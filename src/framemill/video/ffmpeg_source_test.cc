#include "framemill/video/ffmpeg_source.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

namespace fs = std::filesystem;

TEST(FfmpegSource, SkippingChangesNoSampledFrame) {
  const char* const root = std::getenv("FRAMEMILL_TESTDATA");
  if (root == nullptr || !fs::exists(fs::path(root) / "clips"))
    GTEST_SKIP() << "FRAMEMILL_TESTDATA names no folder with clips";
  const SystemClock clock;
  for (const auto& entry : fs::directory_iterator(fs::path(root) / "clips")) {
    SourceOptions options;
    options.url = entry.path();
    options.pace = Pace::kFast;
    options.sampling.every = 3;
    FfmpegSource s(options, clock), all(options, clock, FfmpegSource::Skipping::kOff);
    ASSERT_TRUE(s.open());
    ASSERT_TRUE(all.open());
    int n = 0, sampled = 0, failed = 0, differ = 0;
    while (true) {
      auto f = s.read();
      auto g = all.read();
      ASSERT_TRUE(f) << f.error().message();
      ASSERT_EQ(f->has_value(), g->has_value());
      if (!*f) break;
      n++;
      const SourceFrame &a = **f, &b = **g;
      ASSERT_EQ(a.frame_index, b.frame_index);
      ASSERT_EQ(a.pts_s, b.pts_s);
      ASSERT_EQ(a.is_sampled, b.is_sampled);
      sampled += a.is_sampled;
      failed += a.is_failed + b.is_failed;
      if (a.is_sampled && a.picture && b.picture)
        for (int y = 0; y < a.picture->size.height; ++y)
          if (memcmp(a.picture->planes[0].data + y * a.picture->planes[0].stride,
                     b.picture->planes[0].data + y * b.picture->planes[0].stride,
                     a.picture->size.width)) {
            differ++;
            break;
          }
    }
    auto c = s.counts(), d = all.counts();
    printf(
        "%-50s n=%d sampled=%d failed=%d differ=%d skipped=%ld/%ld errors=%ld/%ld cpu %.2f / %.2f "
        "ms\n",
        entry.path().filename().c_str(), n, sampled, failed, differ, c.packets_skipped, c.packets,
        c.decode_errors, d.decode_errors, to_ms(c.decode_cpu) / n, to_ms(d.decode_cpu) / n);
  }
}

}  // namespace
}  // namespace framemill
