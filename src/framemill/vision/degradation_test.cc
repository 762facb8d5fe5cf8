#include "framemill/vision/degradation.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/vision/bgr_image.h"
#include "framemill/vision/picture_file.h"

namespace framemill {
namespace {

using testing::HasSubstr;

/// Stripes of several widths in colours, with plain areas.
cv::Mat stripes(int width = 320, int height = 200) {
  cv::Mat image(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const bool is_light = (x / (2 + y / 20)) % 2 == 0;
      image.at<cv::Vec3b>(y, x) = is_light ? cv::Vec3b(200, 170, 150) : cv::Vec3b(60, 90, 110);
    }
  }
  return image;
}

struct Statistics {
  double mean = 0;
  double deviation = 0;
  double roughness = 0;  ///< mean step between neighbours
};
Statistics measure(const Picture& picture) {
  const Plane luma = picture.planes[0];
  Statistics s;
  double squares = 0;
  const double count = static_cast<double>(picture.size.width) * picture.size.height;
  for (int y = 0; y < picture.size.height; ++y) {
    const std::uint8_t* row = luma.data + static_cast<std::ptrdiff_t>(y) * luma.stride;
    for (int x = 0; x < picture.size.width; ++x) {
      s.mean += row[x] / count;
      squares += row[x] * row[x] / count;
      if (x > 0) s.roughness += std::abs(row[x] - row[x - 1]) / count;
    }
  }
  s.deviation = std::sqrt(std::max(0.0, squares - s.mean * s.mean));
  return s;
}

bool is_equal(const Picture& a, const Picture& b) {
  const cv::Mat left = to_bgr(a, a.size), right = to_bgr(b, b.size);
  return left.size() == right.size() && cv::norm(left, right, cv::NORM_INF) == 0;
}

TEST(BgrImage, ComesBackWithinTwoSteps) {
  cv::Mat colours(16, 16 * 16, CV_8UC3);
  for (int i = 0; i < colours.rows * colours.cols; ++i)
    colours.at<cv::Vec3b>(i / colours.cols, i % colours.cols) =
        cv::Vec3b((i * 16) & 0xF0, i & 0xF0, (i >> 4) & 0xF0);
  const auto picture = from_bgr(colours);
  EXPECT_EQ(picture->format, PixelFormat::kI444);
  EXPECT_LE(cv::norm(to_bgr(*picture, picture->size), colours, cv::NORM_INF), 2);
}

TEST(Degrade, IsRepeatableAndDrawsAnewForEachSeed) {
  const auto picture = from_bgr(stripes());
  EXPECT_EQ(*degrade(picture, Degradation::kNone, 1), picture);
  for (std::size_t i = 1; i < kDegradations; ++i) {
    const auto kind = static_cast<Degradation>(i);
    const auto once = degrade(picture, kind, 5), again = degrade(picture, kind, 5);
    ASSERT_TRUE(once && again) << to_string(kind);
    EXPECT_EQ((*once)->size, picture->size);
    EXPECT_TRUE(is_equal(**once, **again)) << to_string(kind);
    EXPECT_FALSE(is_equal(**once, *picture)) << to_string(kind);
    const bool is_random = kind == Degradation::kLowLight || kind == Degradation::kNoise ||
                           kind == Degradation::kMotionBlur;
    EXPECT_EQ(is_equal(**once, **degrade(picture, kind, 6)), !is_random) << to_string(kind);
  }
}

TEST(Degrade, DoesWhatItIsCalled) {
  const auto picture = from_bgr(stripes());
  const Statistics before = measure(*picture);
  const auto after = [&](Degradation kind) { return measure(**degrade(picture, kind, 5)); };
  EXPECT_LT(after(Degradation::kLowLight).mean, before.mean * .75);
  EXPECT_LT(after(Degradation::kMotionBlur).roughness, before.roughness * .8);
  EXPECT_NEAR(after(Degradation::kMotionBlur).mean, before.mean, 3);
  EXPECT_LT(after(Degradation::kDefocus).roughness, before.roughness * .9);
  EXPECT_NEAR(after(Degradation::kDefocus).mean, before.mean, 3);
  EXPECT_NEAR(after(Degradation::kNoise).mean, before.mean, 1);
  EXPECT_NEAR(after(Degradation::kJpeg).mean, before.mean, 3);

  const auto plain = from_bgr(cv::Mat(200, 200, CV_8UC3, cv::Scalar(128, 128, 128)));
  // Each colour for itself: luma has sqrt(.299^2 + .587^2 + .114^2) = .669 of the deviation.
  EXPECT_NEAR(measure(**degrade(plain, Degradation::kNoise, 5)).deviation, 14 * .669, .5);
  EXPECT_GT(measure(**degrade(plain, Degradation::kLowLight, 5)).deviation, 2);
  EXPECT_NEAR(measure(**degrade(plain, Degradation::kMotionBlur, 5)).deviation, 0, .01);
}

TEST(Degrade, TakesPicturesOfAnySize) {
  for (const Size size : {Size{1, 1}, Size{2, 3}, Size{1921, 1081}}) {
    const auto picture = from_bgr(stripes(size.width, size.height));
    for (std::size_t i = 0; i < kDegradations; ++i) {
      const auto degraded = degrade(picture, static_cast<Degradation>(i), 1);
      ASSERT_TRUE(degraded) << degraded.error().message();
      EXPECT_EQ((*degraded)->size, size);
    }
  }
}

class PictureFile : public testing::Test {
 protected:
  [[nodiscard]] std::string at(const char* name) const { return folder_ / name; }
  const TempFolder folder_;
};

TEST_F(PictureFile, ReadsWhatOpenCvWrites) {
  for (const char* const name : {"a.png", "a.bmp", "a.webp", "a.tif", "a.jpg"}) {
    ASSERT_TRUE(cv::imwrite(at(name), stripes(), {cv::IMWRITE_JPEG_QUALITY, 100}));
    const auto picture = read_picture_file(at(name));
    ASSERT_TRUE(picture) << picture.error().message();
    const cv::Mat wanted = cv::imread(at(name));
    EXPECT_LE(cv::norm(to_bgr(**picture, (*picture)->size), wanted, cv::NORM_INF), 3) << name;
  }
  ASSERT_TRUE(cv::imwrite(at("grey.png"), cv::Mat(20, 30, CV_8UC1, cv::Scalar(77))));
  ASSERT_TRUE(cv::imwrite(at("deep.png"), cv::Mat(20, 30, CV_16UC3, cv::Scalar(9, 9, 9))));
  EXPECT_TRUE(read_picture_file(at("grey.png")));
  EXPECT_TRUE(read_picture_file(at("deep.png")));
}

TEST_F(PictureFile, RefusesWhatIsBroken) {
  ASSERT_TRUE(cv::imwrite(at("a.jpg"), stripes()));
  std::ifstream file(at("a.jpg"), std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  folder_.write("cut.jpg", bytes.substr(0, bytes.size() / 2));
  folder_.write("text.jpg", "hello");
  folder_.write("empty.jpg");
  const std::pair<const char*, const char*> cases[] = {{"cut.jpg", "cut off"},
                                                       {"text.jpg", "no picture"},
                                                       {"empty.jpg", "is empty"},
                                                       {"gone.jpg", "cannot be read"}};
  for (const auto& [name, says] : cases) {
    const auto picture = read_picture_file(at(name));
    ASSERT_FALSE(picture) << name;
    EXPECT_THAT(picture.error().message(), HasSubstr(std::string(name) + ": "));
    EXPECT_THAT(picture.error().message(), HasSubstr(says));
  }
}

}  // namespace
}  // namespace framemill
