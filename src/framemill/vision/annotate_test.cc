#include "framemill/vision/annotate.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

namespace framemill {
namespace {

/// A picture of one colour.
struct FlatPicture {
  FlatPicture(Size size, std::uint8_t y, std::uint8_t u, std::uint8_t v)
      : luma(static_cast<std::size_t>(size.width * size.height), y),
        u_plane(luma.size(), u),
        v_plane(luma.size(), v) {
    picture.format = PixelFormat::kI444;
    picture.size = size;
    picture.planes = {Plane{luma.data(), size.width}, Plane{u_plane.data(), size.width},
                      Plane{v_plane.data(), size.width}};
  }
  std::vector<std::uint8_t> luma, u_plane, v_plane;
  Picture picture;
};

const std::vector<std::string> kLabels{"person", "car"};

cv::Mat drawn(const Picture& picture, const std::vector<Detection>& detections,
              const std::string& caption) {
  const Result<std::vector<std::uint8_t>> jpeg = draw_jpeg(picture, detections, kLabels, caption);
  EXPECT_TRUE(jpeg.has_value());
  return jpeg ? cv::imdecode(*jpeg, cv::IMREAD_COLOR) : cv::Mat();
}

/// Largest difference of a channel from the colour.
double distance(const cv::Mat& image, int x, int y, const cv::Vec3b& color) {
  return cv::norm(image.at<cv::Vec3b>(y, x), color, cv::NORM_INF);
}

/// The smallest rectangle around all that differs from a picture's own colour.
cv::Rect changed_area(const cv::Mat& image, const cv::Vec3b& ground) {
  cv::Rect area;
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      if (distance(image, x, y, ground) > 24) area |= cv::Rect(x, y, 1, 1);
    }
  }
  return area;
}

constexpr std::uint8_t kGreyLuma = 126;  // limited range: 128 of 255
const cv::Vec3b kGrey(128, 128, 128);

TEST(DrawJpeg, KeepsThePicturesColours) {
  struct Case {
    const char* name;
    std::uint8_t y, u, v;
    ColorMatrix matrix;
    ColorRange range;
    cv::Vec3b bgr;
  };
  const Case cases[] = {
      {"red of 601", 81, 90, 240, ColorMatrix::kBt601, ColorRange::kLimited, {0, 0, 255}},
      {"red of 709", 63, 102, 240, ColorMatrix::kBt709, ColorRange::kLimited, {0, 0, 255}},
      {"limited black", 16, 128, 128, ColorMatrix::kBt601, ColorRange::kLimited, {0, 0, 0}},
      {"full grey", 16, 128, 128, ColorMatrix::kBt601, ColorRange::kFull, {16, 16, 16}},
  };
  for (const Case& c : cases) {
    FlatPicture flat({64, 48}, c.y, c.u, c.v);
    flat.picture.matrix = c.matrix;
    flat.picture.range = c.range;
    const cv::Mat image = drawn(flat.picture, {}, "");
    ASSERT_EQ(image.size(), cv::Size(64, 48)) << c.name;
    EXPECT_LE(distance(image, 32, 24, c.bgr), 4) << c.name;
  }
}

TEST(DrawJpeg, DrawsABoxWhereItIs) {
  const FlatPicture flat({640, 360}, kGreyLuma, 128, 128);
  const cv::Mat image = drawn(flat.picture, {{0, 0.9F, {200, 150, 300, 250}, -1}}, "");
  EXPECT_GT(distance(image, 200, 200, kGrey), 40) << "left side";
  EXPECT_GT(distance(image, 299, 200, kGrey), 40) << "right side";
  EXPECT_GT(distance(image, 250, 249, kGrey), 40) << "bottom";
  EXPECT_LT(distance(image, 250, 200, kGrey), 8) << "inside stays as it was";
  EXPECT_LT(distance(image, 100, 200, kGrey), 8) << "outside stays as it was";
  const cv::Rect area = changed_area(image, kGrey);
  EXPECT_GE(area.x, 197);
  EXPECT_LE(area.y + area.height, 253);
  EXPECT_LT(area.y, 150 - 8) << "the tag lies above";
}

TEST(DrawJpeg, ClassesHaveColoursOfTheirOwn) {
  const FlatPicture flat({640, 360}, kGreyLuma, 128, 128);
  const Box box{200, 150, 300, 250};
  const cv::Mat first = drawn(flat.picture, {{0, 0.9F, box, -1}}, "");
  const cv::Mat again = drawn(flat.picture, {{0, 0.9F, box, -1}}, "");
  const cv::Mat second = drawn(flat.picture, {{1, 0.9F, box, -1}}, "");
  EXPECT_EQ(cv::norm(first, again, cv::NORM_INF), 0) << "stable";
  EXPECT_GT(distance(second, 200, 200, first.at<cv::Vec3b>(200, 200)), 60);
}

TEST(DrawJpeg, TagsStayInside) {
  const FlatPicture flat({320, 180}, kGreyLuma, 128, 128);
  const Box corners[] = {
      {0, 0, 20, 20}, {300, 0, 320, 20}, {0, 160, 20, 180}, {300, 160, 320, 180}};
  for (const Box& box : corners) {
    const cv::Mat image = drawn(flat.picture, {{0, 0.5F, box, 1234567}}, "");
    const cv::Rect area = changed_area(image, kGrey);
    // The tag is wider than the box; were it cut, it would not end where its padding does.
    EXPECT_GT(area.width, 100) << box.x1 << "," << box.y1;
    EXPECT_GT(area.height, 20) << box.x1 << "," << box.y1;
  }
}

TEST(DrawJpeg, CaptionIsABarAtTheTop) {
  const FlatPicture flat({640, 360}, 235, 128, 128);
  const cv::Mat image = drawn(flat.picture, {}, "gate-1  12:00:00");
  const cv::Rect area = changed_area(image, {255, 255, 255});
  EXPECT_EQ(area.x, 0);
  EXPECT_EQ(area.y, 0);
  EXPECT_EQ(area.width, 640);
  EXPECT_LT(area.height, 40);
  EXPECT_EQ(changed_area(drawn(flat.picture, {}, ""), {255, 255, 255}).area(), 0);
}

TEST(DrawJpeg, StartsNoThreads) {  // OpenCV's pool would compete with the engine for the cores
  const std::filesystem::path tasks = "/proc/self/task";
  if (!std::filesystem::exists(tasks)) GTEST_SKIP() << "needs /proc to count threads";
  const auto count = [&] {
    return std::distance(std::filesystem::directory_iterator(tasks),
                         std::filesystem::directory_iterator());
  };
  const FlatPicture flat({1920, 1080}, kGreyLuma, 128, 128);
  const std::array<Detection, 1> detections{{{0, 0.9F, {200, 150, 900, 950}, 7}}};
  const std::ptrdiff_t before = count();
  const Result<std::vector<std::uint8_t>> jpeg =
      draw_jpeg(flat.picture, detections, kLabels, "caption");
  EXPECT_TRUE(jpeg.has_value());
  EXPECT_EQ(count(), before);
}

TEST(DrawJpeg, EndsWellOnOddInput) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<Detection> odd{
      {-3, 0.5F, {10, 10, 20, 20}, 5},          // no such class
      {900, 1.0F, {-50, -50, 5000, 5000}, -1},  // far larger than the picture
      {0, 0.1F, {5, 5, 5, 5}, 1},               // empty
      {1, 0.2F, {-9, -9, -5, -5}, 1},           // outside
      {1, 0.2F, {-inf, 0, inf, 3}, 1},          //
      {1, 0.3F, {1, 1, 2, 2}, std::numeric_limits<std::int64_t>::max()},
  };
  for (const Size size : {Size{1, 1}, Size{2, 3}, Size{17, 500}, Size{500, 17}, Size{321, 181}}) {
    const FlatPicture flat(size, kGreyLuma, 128, 128);
    for (const char* caption : {"", "caf\xC3\xA9 \xE6\x97\xA5 a caption that is far too long"}) {
      const Result<std::vector<std::uint8_t>> jpeg = draw_jpeg(flat.picture, odd, kLabels, caption);
      ASSERT_TRUE(jpeg) << size.width << "x" << size.height << ": " << jpeg.error().message();
      EXPECT_EQ(cv::imdecode(*jpeg, cv::IMREAD_COLOR).size(), cv::Size(size.width, size.height));
    }
  }
}

}  // namespace
}  // namespace framemill
