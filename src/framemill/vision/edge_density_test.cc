#include "framemill/vision/edge_density.h"

#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

namespace framemill {
namespace {

Thumbnail noise(int width, int height, int contrast, unsigned seed) {
  Thumbnail picture{{width, height}, {}};
  std::mt19937 rng(seed);
  for (int i = 0; i < width * height; ++i) {
    picture.luma.push_back(
        static_cast<std::uint8_t>(128 + static_cast<int>(rng() % 100) * contrast / 100));
  }
  return picture;
}

/// As the header says it.
double slow_edge_density(const Thumbnail& picture) {
  const int width = picture.size.width;
  const auto at = [&](int x, int y) {
    return static_cast<int>(picture.luma[static_cast<std::size_t>(y * width + x)]);
  };
  int edges = 0;
  for (int y = 0; y + 1 < picture.size.height; ++y) {
    for (int x = 0; x + 1 < width; ++x) {
      const int sum = std::abs(at(x, y) - at(x + 1, y)) + std::abs(at(x, y) - at(x, y + 1));
      edges += sum > kEdgeContrast ? 1 : 0;
    }
  }
  return static_cast<double>(edges) / ((width - 1) * (picture.size.height - 1));
}

TEST(EdgeDensity, IsThatOfTheSlowVersionForAnySize) {
  for (const Size size : {Size{2, 2},
                          {15, 3},
                          {16, 2},
                          {17, 9},
                          {18, 9},
                          {80, 45},
                          {319, 20},
                          {320, 180},
                          {5000, 3}}) {
    for (const int contrast : {0, 20, 40, 127}) {
      const Thumbnail picture = noise(size.width, size.height, contrast, 7);
      EXPECT_DOUBLE_EQ(edge_density(picture), slow_edge_density(picture))
          << size.width << "x" << size.height << " contrast " << contrast;
    }
  }
}

TEST(EdgeDensity, GrowsWithWhatIsInThePicture) {
  EXPECT_EQ(edge_density(noise(320, 180, 0, 1)), 0);
  EXPECT_EQ(edge_density(Thumbnail{{1, 9}, std::vector<std::uint8_t>(9, 1)}), 0);
  Thumbnail picture{{64, 64}, std::vector<std::uint8_t>(64 * 64, 50)};
  double before = 0;
  for (std::size_t x = 4; x < 60; x += 8) {
    for (std::size_t y = 0; y < 64; ++y) picture.luma[y * 64 + x] = 200;
    EXPECT_GT(edge_density(picture), before);
    before = edge_density(picture);
  }
}

}  // namespace
}  // namespace framemill
