#include "framemill/vision/thumbnail.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

/// A grey picture with memory of its own that ends after its last sample.
struct LumaPicture {
  template <typename Sample>
  LumaPicture(Size size, int gap, const Sample& sample) {
    const int stride = size.width + gap;
    bytes.assign(static_cast<std::size_t>(stride * (size.height - 1) + size.width), 255);
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x)
        bytes[static_cast<std::size_t>(y * stride + x)] = static_cast<std::uint8_t>(sample(x, y));
    }
    picture.format = PixelFormat::kGray;
    picture.size = size;
    picture.planes[0] = {bytes.data(), stride};
  }
  std::vector<std::uint8_t> bytes;
  Picture picture;
};

/// Mean of the source over the area of output (x, y), pixel parts by area.
double area_mean(const Picture& picture, Size size, int x, int y) {
  const double left = static_cast<double>(x) * picture.size.width / size.width;
  const double right = static_cast<double>(x + 1) * picture.size.width / size.width;
  const double top = static_cast<double>(y) * picture.size.height / size.height;
  const double bottom = static_cast<double>(y + 1) * picture.size.height / size.height;
  double sum = 0;
  for (int row = static_cast<int>(top);
       row < std::min(picture.size.height, static_cast<int>(std::ceil(bottom))); ++row) {
    const double high = std::min(bottom, row + 1.0) - std::max(top, static_cast<double>(row));
    for (int column = static_cast<int>(left);
         column < std::min(picture.size.width, static_cast<int>(std::ceil(right))); ++column) {
      const double wide =
          std::min(right, column + 1.0) - std::max(left, static_cast<double>(column));
      sum += std::max(0.0, high) * std::max(0.0, wide) *
             picture.planes[0].data[row * picture.planes[0].stride + column];
    }
  }
  return sum / ((right - left) * (bottom - top));
}

TEST(WriteThumbnail, AveragesAreas) {
  std::mt19937 rng(5);
  const std::pair<Size, int> cases[] = {
      {{640, 360}, 160}, {{320, 180}, 160}, {{1280, 72}, 160}, {{768, 432}, 320}, {{352, 288}, 160},
      {{101, 67}, 40},   {{33, 500}, 7},    {{161, 90}, 160},  {{50, 40}, 160},   {{1, 1}, 160},
      {{700, 1}, 160},   {{3, 900}, 1},     {{2000, 2}, 1},
  };
  for (const auto& [size, width_max] : cases) {
    const LumaPicture source(size, 3, [&rng](int, int) { return rng() & 255U; });
    Thumbnail thumbnail;
    write_thumbnail(source.picture, width_max, thumbnail);
    ASSERT_EQ(thumbnail.size.width, std::min(size.width, width_max));
    ASSERT_EQ(thumbnail.size.height, std::max(1L, std::lround(static_cast<double>(size.height) *
                                                              thumbnail.size.width / size.width)));
    ASSERT_EQ(thumbnail.luma.size(),
              static_cast<std::size_t>(thumbnail.size.width * thumbnail.size.height));
    for (int y = 0; y < thumbnail.size.height; ++y) {
      for (int x = 0; x < thumbnail.size.width; ++x) {
        // Half a level for rounding; weights of 8 bits across and down cost up to one more, and
        // more where far over 256 samples lie below one output.
        const double tolerance = size.width > 900 || size.height > 800 ? 20 : 1.5;
        const int got = thumbnail.luma[static_cast<std::size_t>(y * thumbnail.size.width + x)];
        ASSERT_NEAR(got, area_mean(source.picture, thumbnail.size, x, y), tolerance)
            << size.width << "x" << size.height << " at " << x << "," << y;
      }
    }
  }
}

TEST(WriteThumbnail, ReusesMemory) {
  const LumaPicture source({64, 36}, 0, [](int x, int) { return x; });
  Thumbnail thumbnail;
  write_thumbnail(source.picture, 32, thumbnail);
  const std::uint8_t* const memory = thumbnail.luma.data();
  write_thumbnail(source.picture, 32, thumbnail);
  EXPECT_EQ(thumbnail.luma.data(), memory);
}

TEST(MeanAbsoluteDifference, CountsLevels) {
  const Thumbnail a{{2, 2}, {0, 10, 20, 255}};
  const Thumbnail b{{2, 2}, {4, 10, 10, 255}};
  EXPECT_DOUBLE_EQ(mean_absolute_difference(a, b), 3.5);
  EXPECT_DOUBLE_EQ(mean_absolute_difference(a, a), 0);
  EXPECT_DOUBLE_EQ(mean_absolute_difference(a, {{4, 1}, {0, 10, 20, 255}}), 255);
  EXPECT_DOUBLE_EQ(mean_absolute_difference({}, {}), 255);
}

/// Random rectangles in random shades: something like a scene.
Thumbnail make_scene(unsigned seed) {
  std::mt19937 rng(seed);
  Thumbnail scene{{160, 90}, std::vector<std::uint8_t>(160 * 90, 90)};
  for (int i = 0; i < 150; ++i) {
    const std::size_t left = rng() % 150, top = rng() % 80;
    const std::size_t right = std::min<std::size_t>(160, left + 5 + rng() % 30);
    const std::size_t bottom = std::min<std::size_t>(90, top + 5 + rng() % 30);
    const auto shade = static_cast<std::uint8_t>(20 + rng() % (seed % 2 == 0 ? 120 : 220));
    for (std::size_t y = top; y < bottom; ++y) {
      for (std::size_t x = left; x < right; ++x) scene.luma[y * 160 + x] = shade;
    }
  }
  return scene;
}

template <typename Change>
Thumbnail changed(Thumbnail scene, const Change& change) {
  for (int y = 0; y < scene.size.height; ++y) {
    for (int x = 0; x < scene.size.width; ++x) {
      std::uint8_t& luma = scene.luma[static_cast<std::size_t>(y * scene.size.width + x)];
      luma = static_cast<std::uint8_t>(std::clamp<double>(change(x, y, luma), 0, 255));
    }
  }
  return scene;
}

TEST(IsSceneCut, FollowsTheTable) {
  const Thumbnail scene = make_scene(1);
  const Thumbnail other = make_scene(2);
  std::mt19937 rng(3);
  const auto noise = [&rng] { return static_cast<int>(rng() % 9) - 4; };
  struct Case {
    const char* name;
    Thumbnail now;
    bool want;
  };
  const Case cases[] = {
      {"the same", scene, false},
      {"sensor noise", changed(scene, [&](int, int, int v) { return v + noise(); }), false},
      {"lights dimmed", changed(scene, [&](int, int, int v) { return v / 3 + noise() / 2; }),
       false},
      {"lights on", changed(scene, [](int, int, int v) { return v * 1.4 + 30; }), false},
      {"an object over a third of the picture",
       changed(scene,
               [](int x, int y, int v) { return x > 40 && x < 95 ? 200 - (x * y) % 50 : v; }),
       false},
      {"another scene", other, true},
      {"signal lost: black", changed(scene, [](int, int, int) { return 16; }), true},
      {"another size", {{80, 45}, std::vector<std::uint8_t>(80 * 45, 90)}, true},
  };
  for (const Case& c : cases) EXPECT_EQ(is_scene_cut(scene, c.now), c.want) << c.name;
}

/// Grey thumbnails of the first seconds of a clip, 5 a second. All clips are brought to 640x360.
std::vector<Thumbnail> read_clip(const std::filesystem::path& clip) {
  const std::string command = "ffmpeg -v error -nostdin -threads 1 -t 2.5 -i '" + clip.string() +
                              "' -vf fps=5,scale=640:360,format=gray -f rawvideo -";
  std::vector<Thumbnail> thumbnails;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::vector<std::uint8_t> luma(640 * 360);
  while (pipe && std::fread(luma.data(), 1, luma.size(), pipe.get()) == luma.size()) {
    Picture picture;
    picture.format = PixelFormat::kGray;
    picture.size = {640, 360};
    picture.planes[0] = {luma.data(), 640};
    write_thumbnail(picture, 160, thumbnails.emplace_back());
  }
  return thumbnails;
}

TEST(IsSceneCut, TellsClipsApart) {
  const char* const testdata = std::getenv("FRAMEMILL_TESTDATA");
  if (testdata == nullptr || !std::filesystem::exists(testdata))
    GTEST_SKIP() << "needs real clips; set FRAMEMILL_TESTDATA to the test data's folder";
  if (std::system("command -v ffmpeg >/dev/null 2>&1") != 0) GTEST_SKIP() << "needs ffmpeg";
  std::vector<std::string> names;
  std::vector<std::vector<Thumbnail>> clips;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(testdata) / "clips")) {
    if (entry.path().extension() != ".mp4") continue;
    names.push_back(entry.path().stem().string());
    clips.push_back(read_clip(entry.path()));
    ASSERT_GT(clips.back().size(), 10U) << names.back();
  }
  ASSERT_GE(clips.size(), 2U);
  int pairs = 0;
  int missed = 0;
  for (std::size_t i = 0; i < clips.size(); ++i) {
    for (std::size_t k = 1; k < clips[i].size(); ++k)
      EXPECT_FALSE(is_scene_cut(clips[i][k - 1], clips[i][k])) << names[i] << " sample " << k;
    const Thumbnail& last = clips[i].back();
    for (const int part : {2, 4}) {  // light that changes at once
      const Thumbnail dimmed = changed(last, [part](int, int, int v) { return v / part; });
      EXPECT_FALSE(is_scene_cut(last, dimmed)) << names[i] << " light / " << part;
    }
    for (std::size_t j = 0; j < clips.size(); ++j) {
      if (i == j) continue;
      ++pairs;
      if (is_scene_cut(last, clips[j].front())) continue;
      ++missed;
      RecordProperty("missed", names[i] + " to " + names[j]);
    }
  }
  EXPECT_LE(missed, pairs / 100) << "of " << pairs;
}

}  // namespace
}  // namespace framemill
