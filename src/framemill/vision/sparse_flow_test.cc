#include "framemill/vision/sparse_flow.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <opencv2/video/tracking.hpp>

namespace framemill {
namespace {

constexpr Size kSize{160, 96};

/// Waves of several lengths and directions: structure everywhere, no period within the picture.
float luma_at(float x, float y) {
  return 128 + 30 * std::sin(0.31F * x + 0.17F * y) + 30 * std::sin(0.23F * y - 0.11F * x) +
         25 * std::sin(0.71F * x - 0.47F * y) + 20 * std::sin(0.53F * y + 0.83F * x);
}

Thumbnail picture(Size size, float dx, float dy, float light = 0) {
  Thumbnail out{.size = size, .luma = {}};
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      const float value =
          light + luma_at(static_cast<float>(x) + 0.5F - dx, static_cast<float>(y) + 0.5F - dy);
      out.luma.push_back(static_cast<std::uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F)));
    }
  }
  return out;
}

std::vector<Thumbnail> pyramid(Thumbnail finest) {
  std::vector<Thumbnail> levels{std::move(finest)};
  for (int n = 0; n < 2; ++n) {
    const Thumbnail& last = levels.back();
    Thumbnail half{.size = {last.size.width / 2, last.size.height / 2}, .luma = {}};
    for (int y = 0; y < half.size.height; ++y) {
      for (int x = 0; x < half.size.width; ++x) {
        const std::uint8_t* const p = last.luma.data() + 2 * y * last.size.width + 2 * x;
        half.luma.push_back(static_cast<std::uint8_t>(
            (p[0] + p[1] + p[last.size.width] + p[last.size.width + 1] + 2) / 4));
      }
    }
    levels.push_back(std::move(half));
  }
  return levels;
}

std::vector<FlowPoint> points() {
  std::vector<FlowPoint> out;
  for (float y = 20; y < 80; y += 11) {
    for (float x = 20; x < 140; x += 13) out.push_back({.x = x, .y = y});
  }
  return out;
}

TEST(TrackPoints, AgreesWithTheTruthAndWithOpenCv) {
  const auto from = pyramid(picture(kSize, 0, 0));
  for (const auto& [dx, dy] : {std::pair{0.3F, -0.4F}, {2.6F, 1.2F}, {-5.5F, 3.25F}}) {
    const auto to = pyramid(picture(kSize, dx, dy));
    std::vector<FlowPoint> found = points();
    track_points(from, to, 2, found);
    std::vector<cv::Point2f> starts;
    std::vector<cv::Point2f> ends;
    for (const FlowPoint& p : found) starts.emplace_back(p.x - 0.5F, p.y - 0.5F);
    std::vector<std::uint8_t> status;
    std::vector<float> errors;
    const auto mat = [](const Thumbnail& t) {
      return cv::Mat(t.size.height, t.size.width, CV_8UC1,
                     const_cast<std::uint8_t*>(t.luma.data()));
    };
    cv::calcOpticalFlowPyrLK(mat(from[0]), mat(to[0]), starts, ends, status, errors, {9, 9}, 2);
    int agreeing = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const float off = std::hypot(found[i].dx - dx, found[i].dy - dy);
      const float apart = std::hypot(found[i].x + found[i].dx - 0.5F - ends[i].x,
                                     found[i].y + found[i].dy - 0.5F - ends[i].y);
      agreeing += found[i].is_tracked && found[i].back_error < 0.2F && off < 0.15F && apart < 0.2F;
    }
    EXPECT_GE(agreeing, static_cast<int>(found.size()) * 95 / 100) << dx << " " << dy;
  }
}

TEST(TrackPoints, AChangeOfLightMovesNothing) {
  const auto from = pyramid(picture(kSize, 0, 0));
  const auto to = pyramid(picture(kSize, 1, 0, 20));
  std::vector<FlowPoint> found = points();
  track_points(from, to, 1, found);
  int good = 0;
  for (const FlowPoint& p : found) good += std::hypot(p.dx - 1, p.dy) < 0.2F ? 1 : 0;
  EXPECT_GE(good, static_cast<int>(found.size()) * 9 / 10);
}

TEST(TrackPoints, FlatPicturesAndPlacesOutsideGiveTheGuessBack) {
  const Thumbnail flat{.size = kSize, .luma = std::vector<std::uint8_t>(160 * 96, 90)};
  const auto levels = pyramid(flat);
  std::vector<FlowPoint> found{{.x = 50, .y = 50, .dx = 3, .dy = -2},
                               {.x = -400, .y = 1e6F, .dx = 1},
                               {.x = 0, .y = 0},
                               {.x = 160, .y = 96}};
  track_points(levels, levels, 2, found);
  for (const FlowPoint& p : found) {
    EXPECT_FALSE(p.is_tracked);
    EXPECT_TRUE(std::isfinite(p.dx) && std::isfinite(p.dy));
  }
  EXPECT_EQ(found[0].dx, 3);
  EXPECT_EQ(found[0].dy, -2);
}

TEST(CornerStrength, IsNothingOnFlatAndStraightThings) {
  Thumbnail flat{.size = kSize, .luma = std::vector<std::uint8_t>(160 * 96, 90)};
  EXPECT_EQ(corner_strength(flat, 80, 48), 0);
  for (std::size_t i = 0; i < flat.luma.size(); ++i) flat.luma[i] = i % 160 < 80 ? 40 : 200;
  EXPECT_NEAR(corner_strength(flat, 80, 48), 0, 0.1F);
  EXPECT_GT(corner_strength(picture(kSize, 0, 0), 80, 48), 5);
}

}  // namespace
}  // namespace framemill
