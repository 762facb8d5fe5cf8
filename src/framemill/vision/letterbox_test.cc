#include "framemill/vision/letterbox.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "framemill/vision/letterbox_rows.h"

namespace framemill {
namespace {

using testing::FloatNear;

bool is_halved_across(PixelFormat format) {
  return format != PixelFormat::kI444 && format != PixelFormat::kGray;
}
bool is_halved_down(PixelFormat format) {
  return format == PixelFormat::kI420 || format == PixelFormat::kNv12;
}

/// A picture with memory of its own: each plane ends right after its last sample, so that a
/// sanitizer sees any read past it.
struct TestPicture {
  std::array<std::vector<std::uint8_t>, 3> bytes;
  Picture picture;
};

/// `sample(plane, x, y)` gives plane 0..2 = Y, U, V. Rows are `gap` bytes longer than needed.
template <typename Sample>
TestPicture make_picture(Size size, PixelFormat format, int gap, const Sample& sample) {
  TestPicture made;
  made.picture.format = format;
  made.picture.size = size;
  const auto fill = [&](std::size_t plane, int width, int height, int channels, int first) {
    const int stride = width * channels + gap;
    std::vector<std::uint8_t>& bytes = made.bytes[plane];
    bytes.assign(static_cast<std::size_t>(stride * (height - 1) + width * channels), 77);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        for (int c = 0; c < channels; ++c)
          bytes[static_cast<std::size_t>(y * stride + x * channels + c)] =
              static_cast<std::uint8_t>(sample(first + c, x, y));
      }
    }
    made.picture.planes[plane] = {bytes.data(), stride};
  };
  fill(0, size.width, size.height, 1, 0);
  if (format == PixelFormat::kGray) return made;
  const int width = is_halved_across(format) ? (size.width + 1) / 2 : size.width;
  const int height = is_halved_down(format) ? (size.height + 1) / 2 : size.height;
  if (format == PixelFormat::kNv12) {
    fill(1, width, height, 2, 1);
  } else {
    fill(1, width, height, 1, 1);
    fill(2, width, height, 1, 2);
  }
  return made;
}

TestPicture make_noise(Size size, PixelFormat format, int gap, unsigned seed) {
  std::mt19937 rng(seed);
  return make_picture(size, format, gap, [&rng](int, int, int) { return rng() & 255U; });
}

/// Sample `plane` at a position of full size, bilinear, edges repeated: the slow and obvious way.
double sample_at(const Picture& picture, int plane, double x, double y) {
  const bool is_chroma = plane > 0;
  const int divide_x = is_chroma && is_halved_across(picture.format) ? 2 : 1;
  const int divide_y = is_chroma && is_halved_down(picture.format) ? 2 : 1;
  const int width = (picture.size.width + divide_x - 1) / divide_x;
  const int height = (picture.size.height + divide_y - 1) / divide_y;
  const bool is_packed = is_chroma && picture.format == PixelFormat::kNv12;
  const Plane& from = picture.planes[static_cast<std::size_t>(is_packed ? 1 : plane)];
  const auto value = [&](int column, int row) -> double {
    column = std::clamp(column, 0, width - 1);
    row = std::clamp(row, 0, height - 1);
    return from.data[row * from.stride + (is_packed ? 2 * column + plane - 1 : column)];
  };
  const double at_x = x / divide_x - 0.5;
  const double at_y = y / divide_y - 0.5;
  const int column = static_cast<int>(std::floor(at_x));
  const int row = static_cast<int>(std::floor(at_y));
  const double fx = at_x - column;
  const double fy = at_y - row;
  return (1 - fy) * ((1 - fx) * value(column, row) + fx * value(column + 1, row)) +
         fy * ((1 - fx) * value(column, row + 1) + fx * value(column + 1, row + 1));
}

/// R, G, B, 0..255, by the textbook.
std::array<double, 3> color_of(const Picture& picture, double y, double u, double v) {
  const auto [kr, kb] = picture.matrix == ColorMatrix::kBt601   ? std::pair(0.299, 0.114)
                        : picture.matrix == ColorMatrix::kBt709 ? std::pair(0.2126, 0.0722)
                                                                : std::pair(0.2627, 0.0593);
  if (picture.range == ColorRange::kLimited) {
    y = (y - 16) * 255 / 219;
    u = (u - 128) * 255 / 224;
    v = (v - 128) * 255 / 224;
  } else {
    u -= 128;
    v -= 128;
  }
  const double red = y + 2 * (1 - kr) * v;
  const double blue = y + 2 * (1 - kb) * u;
  const double green =
      (y - kr * (y + 2 * (1 - kr) * v) - kb * (y + 2 * (1 - kb) * u)) / (1 - kr - kb);
  const auto cut = [](double c) { return std::clamp(c, 0.0, 255.0); };
  return {cut(red), cut(green), cut(blue)};
}

std::vector<float> reference_letterbox(const Picture& picture, const Letterbox& plan, Size model,
                                       const InputStyle& style) {
  const auto plane = static_cast<std::size_t>(model.width * model.height);
  const double unit = style.range == ValueRange::kUnit ? 1.0 / 255 : 1.0;
  std::vector<float> tensor(3 * plane, static_cast<float>(style.border * unit));
  for (int y = 0; y < plan.resized.height; ++y) {
    for (int x = 0; x < plan.resized.width; ++x) {
      const double at_x = (x + 0.5) * picture.size.width / plan.resized.width;
      const double at_y = (y + 0.5) * picture.size.height / plan.resized.height;
      const bool is_gray = picture.format == PixelFormat::kGray;
      const double luma = sample_at(picture, 0, at_x, at_y);
      const double u = is_gray ? 128 : sample_at(picture, 1, at_x, at_y);
      const double v = is_gray ? 128 : sample_at(picture, 2, at_x, at_y);
      const std::array<double, 3> rgb = color_of(picture, luma, u, v);
      const auto at = static_cast<std::size_t>((y + plan.top) * model.width + x + plan.left);
      for (std::size_t c = 0; c < 3; ++c) {
        const double value = rgb[style.channels == ChannelOrder::kRgb ? c : 2 - c];
        tensor[c * plane + at] = static_cast<float>(value * unit);
      }
    }
  }
  return tensor;
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, static_cast<double>(std::abs(a[i] - b[i])));
  return most;
}

double mean_difference(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(std::abs(a[i] - b[i]));
  return sum / static_cast<double>(a.size());
}

std::vector<const RowKernels*> all_kernels() {
  std::vector<const RowKernels*> all{&portable_kernels()};
  if (avx2_kernels() != nullptr) all.push_back(avx2_kernels());
  return all;
}

std::vector<float> letterboxed(const RowKernels& kernels, const Picture& picture,
                               const Letterbox& plan, Size model, const InputStyle& style) {
  // Not a number where nothing was written; one guard on each side.
  const auto size = static_cast<std::size_t>(3 * model.width * model.height);
  std::vector<float> guarded(size + 2, std::nanf(""));
  guarded.front() = guarded.back() = -7;
  write_letterbox_with(kernels, picture, plan, model, style, std::span(guarded).subspan(1, size));
  EXPECT_EQ(guarded.front(), -7) << kernels.name << " writes before the tensor";
  EXPECT_EQ(guarded.back(), -7) << kernels.name << " writes past the tensor";
  return {guarded.begin() + 1, guarded.end() - 1};
}

TEST(PlanLetterbox, FollowsUltralytics) {  // values from LetterBox(auto=False, center=True)
  struct Case {
    Size source, model;
    LetterboxPlace place;
    double scale;
    Size resized;
    int left, top;
  };
  const Case cases[] = {
      {{640, 360}, {640, 384}, LetterboxPlace::kCenter, 1.0, {640, 360}, 0, 12},
      {{640, 360}, {640, 640}, LetterboxPlace::kCenter, 1.0, {640, 360}, 0, 140},
      {{1920, 1080}, {640, 640}, LetterboxPlace::kCenter, 1.0 / 3, {640, 360}, 0, 140},
      {{1080, 1920}, {640, 640}, LetterboxPlace::kCenter, 1.0 / 3, {360, 640}, 140, 0},
      {{1280, 722}, {640, 640}, LetterboxPlace::kCenter, 0.5, {640, 361}, 0, 139},  // odd border
      {{1280, 721}, {640, 640}, LetterboxPlace::kCenter, 0.5, {640, 360}, 0, 140},  // 360.5: to
                                                                                    // even
      {{1280, 723}, {640, 640}, LetterboxPlace::kCenter, 0.5, {640, 362}, 0, 139},  // 361.5: to
                                                                                    // even
      {{352, 288}, {640, 640}, LetterboxPlace::kCenter, 640.0 / 352, {640, 524}, 0, 58},
      {{352, 288}, {416, 416}, LetterboxPlace::kTopLeft, 416.0 / 352, {416, 340}, 0, 0},
      {{5000, 1}, {640, 640}, LetterboxPlace::kCenter, 0.128, {640, 1}, 0, 319},
      {{1, 1}, {1, 1}, LetterboxPlace::kCenter, 1.0, {1, 1}, 0, 0},
  };
  for (const Case& c : cases) {
    const Result<Letterbox> plan = plan_letterbox(c.source, c.model, c.place);
    ASSERT_TRUE(plan) << c.source.width;
    EXPECT_DOUBLE_EQ(plan->scale, c.scale) << c.source.width << "x" << c.source.height;
    EXPECT_EQ(plan->resized, c.resized) << plan->resized.width << "x" << plan->resized.height;
    EXPECT_EQ(plan->left, c.left) << c.source.width << "x" << c.source.height;
    EXPECT_EQ(plan->top, c.top) << c.source.width << "x" << c.source.height;
  }
}

TEST(PlanLetterbox, RefusesEmptySides) {
  for (const auto& [source, model] :
       {std::pair(Size{0, 360}, Size{640, 640}), std::pair(Size{640, -1}, Size{640, 640}),
        std::pair(Size{640, 360}, Size{640, 0})}) {
    const Result<Letterbox> plan = plan_letterbox(source, model, LetterboxPlace::kCenter);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST(ToSource, UndoesThePlanAndClips) {
  const Size source{1920, 1080};
  const Letterbox plan = plan_letterbox(source, {640, 640}, LetterboxPlace::kCenter).value();
  const Box box = to_source({10, 150, 110, 250}, plan, source);
  EXPECT_THAT(box.x1, FloatNear(30, 1e-3F));
  EXPECT_THAT(box.y1, FloatNear(30, 1e-3F));
  EXPECT_THAT(box.x2, FloatNear(330, 1e-3F));
  EXPECT_THAT(box.y2, FloatNear(330, 1e-3F));
  EXPECT_EQ(to_source({-5, 0, 700, 640}, plan, source), (Box{0, 0, 1920, 1080}));
}

TEST(WriteLetterbox,
     KnowsTheColours) {  // one flat colour each; bars of the standards' test signals
  struct Case {
    const char* name;
    ColorMatrix matrix;
    ColorRange range;
    int y, u, v;
    float red, green, blue;
  };
  const Case cases[] = {
      {"black", ColorMatrix::kBt601, ColorRange::kLimited, 16, 128, 128, 0, 0, 0},
      {"white", ColorMatrix::kBt709, ColorRange::kLimited, 235, 128, 128, 255, 255, 255},
      {"full grey", ColorMatrix::kBt601, ColorRange::kFull, 100, 128, 128, 100, 100, 100},
      {"red of 601", ColorMatrix::kBt601, ColorRange::kLimited, 81, 90, 240, 255, 0, 0},
      {"blue of 601", ColorMatrix::kBt601, ColorRange::kLimited, 41, 240, 110, 0, 0, 255},
      {"red of 709", ColorMatrix::kBt709, ColorRange::kLimited, 63, 102, 240, 255, 0, 0},
      {"green of 709", ColorMatrix::kBt709, ColorRange::kLimited, 173, 42, 26, 0, 255, 0},
      {"red of 2020", ColorMatrix::kBt2020, ColorRange::kLimited, 74, 97, 240, 255, 0, 0},
      {"red of JPEG", ColorMatrix::kBt601, ColorRange::kFull, 76, 85, 255, 254, 0, 0},
  };
  for (const Case& c : cases) {
    const int samples[3] = {c.y, c.u, c.v};
    TestPicture made = make_picture({16, 8}, PixelFormat::kI420, 0,
                                    [&](int plane, int, int) { return samples[plane]; });
    made.picture.matrix = c.matrix;
    made.picture.range = c.range;
    const Letterbox plan = plan_letterbox({16, 8}, {16, 8}, LetterboxPlace::kCenter).value();
    for (const ChannelOrder order : {ChannelOrder::kRgb, ChannelOrder::kBgr}) {
      std::vector<float> tensor(3 * 16 * 8);
      write_letterbox(made.picture, plan, {16, 8}, {.channels = order, .range = ValueRange::kByte},
                      tensor);
      const bool is_rgb = order == ChannelOrder::kRgb;
      EXPECT_THAT(tensor[5], FloatNear(is_rgb ? c.red : c.blue, 1.6F)) << c.name;
      EXPECT_THAT(tensor[128 + 5], FloatNear(c.green, 1.6F)) << c.name;
      EXPECT_THAT(tensor[256 + 5], FloatNear(is_rgb ? c.blue : c.red, 1.6F)) << c.name;
    }
  }
}

TEST(WriteLetterbox, AgreesWithTheSlowWay) {  // noise: the hardest content for interpolation
  const std::pair<Size, Size> sizes[] = {
      {{640, 360}, {640, 384}}, {{96, 54}, {96, 96}},   {{97, 55}, {96, 96}},
      {{64, 36}, {131, 77}},    {{640, 37}, {96, 64}},  {{192, 108}, {64, 64}},
      {{128, 72}, {64, 64}},    {{333, 187}, {61, 67}}, {{1, 1}, {5, 3}},
      {{3, 2}, {32, 32}},       {{2, 31}, {40, 40}},    {{31, 2}, {20, 20}},
      {{500, 5}, {9, 32}},      {{35, 35}, {33, 33}},
  };
  const PixelFormat formats[] = {PixelFormat::kI420, PixelFormat::kI422, PixelFormat::kI444,
                                 PixelFormat::kNv12, PixelFormat::kGray};
  unsigned round = 0;
  for (const RowKernels* kernels : all_kernels()) {
    for (const auto& [source, model] : sizes) {
      for (const PixelFormat format : formats) {
        ++round;
        TestPicture made = make_noise(source, format, static_cast<int>(round % 3), round);
        made.picture.range = round % 2 != 0U ? ColorRange::kFull : ColorRange::kLimited;
        made.picture.matrix = static_cast<ColorMatrix>(round / 2 % 3);
        const InputStyle style{
            .place = round % 5 == 0 ? LetterboxPlace::kTopLeft : LetterboxPlace::kCenter,
            .channels = round % 4 < 2 ? ChannelOrder::kRgb : ChannelOrder::kBgr,
            .range = round % 7 < 4 ? ValueRange::kUnit : ValueRange::kByte};
        const Letterbox plan = plan_letterbox(source, model, style.place).value();
        const std::vector<float> got = letterboxed(*kernels, made.picture, plan, model, style);
        const std::vector<float> want = reference_letterbox(made.picture, plan, model, style);
        // Rounding weights and rows costs at most a fiftieth of a grey level.
        const double level = style.range == ValueRange::kUnit ? 1.0 / 255 : 1.0;
        EXPECT_LT(largest_difference(got, want), 0.05 * level)
            << kernels->name << " " << source.width << "x" << source.height << " to " << model.width
            << "x" << model.height << " format " << static_cast<int>(format);
      }
    }
  }
}

TEST(WriteLetterbox, KernelsAgree) {
  if (avx2_kernels() == nullptr) GTEST_SKIP() << "this processor has no AVX2 with FMA";
  std::mt19937 rng(11);
  const auto side = [&rng](int most) {
    return 1 + static_cast<int>(rng() % static_cast<unsigned>(most));
  };
  for (unsigned round = 0; round < 300; ++round) {
    const Size source{side(400), side(200)};
    const Size model{side(160), side(160)};
    const auto format = static_cast<PixelFormat>(round % 5);
    const TestPicture made = make_noise(source, format, 0, round);
    const Letterbox plan = plan_letterbox(source, model, LetterboxPlace::kCenter).value();
    const std::vector<float> slow = letterboxed(portable_kernels(), made.picture, plan, model, {});
    const std::vector<float> fast = letterboxed(*avx2_kernels(), made.picture, plan, model, {});
    // Same integers; only the order of the float sums differs.
    ASSERT_LT(largest_difference(slow, fast), 2e-6)
        << source.width << "x" << source.height << " to " << model.width << "x" << model.height;
  }
}

TEST(WriteLetterbox, TakesRowsThatRunUpwards) {  // decoders may give negative strides
  const Size size{20, 12};
  const TestPicture made = make_noise(size, PixelFormat::kI444, 0, 3);
  TestPicture flipped = make_picture(size, PixelFormat::kI444, 0, [&](int plane, int x, int y) {
    return made.bytes[static_cast<std::size_t>(plane)][static_cast<std::size_t>((11 - y) * 20 + x)];
  });
  for (Plane& plane : flipped.picture.planes) {
    plane.data += 11 * plane.stride;
    plane.stride = -plane.stride;
  }
  const Letterbox plan = plan_letterbox(size, {32, 32}, LetterboxPlace::kCenter).value();
  EXPECT_EQ(letterboxed(best_kernels(), made.picture, plan, {32, 32}, {}),
            letterboxed(best_kernels(), flipped.picture, plan, {32, 32}, {}));
}

TEST(WriteLetterbox, ThreadsDoNotShareTables) {
  const auto work = [](unsigned seed, bool* is_equal) {
    const Size size{40 + static_cast<int>(seed) * 9, 30};
    const TestPicture made = make_noise(size, PixelFormat::kI420, 0, seed);
    const Letterbox plan = plan_letterbox(size, {64, 64}, LetterboxPlace::kCenter).value();
    std::vector<float> first(3 * 64 * 64);
    write_letterbox(made.picture, plan, {64, 64}, {}, first);
    std::vector<float> again(first.size());
    *is_equal = true;
    for (int round = 0; round < 50; ++round) {
      write_letterbox(made.picture, plan, {64, 64}, {}, again);
      *is_equal = *is_equal && again == first;
    }
  };
  std::array<bool, 4> is_equal{};
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 4; ++i) threads.emplace_back(work, i, &is_equal[i]);
  }
  EXPECT_THAT(is_equal, testing::Each(true));
}

/// What most Python code does: cvtColor, resize, copy into a grey canvas, divide.
std::vector<float> opencv_letterbox(const std::vector<std::uint8_t>& i420, Size size,
                                    const Letterbox& plan, Size model) {
  const cv::Mat yuv(size.height * 3 / 2, size.width, CV_8UC1,
                    const_cast<std::uint8_t*>(i420.data()));  // cv::Mat knows no const
  cv::Mat rgb;
  cv::cvtColor(yuv, rgb, cv::COLOR_YUV2RGB_I420);
  cv::Mat resized;
  cv::resize(rgb, resized, {plan.resized.width, plan.resized.height}, 0, 0, cv::INTER_LINEAR);
  cv::Mat canvas(model.height, model.width, CV_8UC3, cv::Scalar(114, 114, 114));
  resized.copyTo(canvas(cv::Rect(plan.left, plan.top, plan.resized.width, plan.resized.height)));
  std::vector<float> tensor;
  for (int c = 0; c < 3; ++c) {
    cv::Mat channel;
    cv::extractChannel(canvas, channel, c);
    for (int y = 0; y < model.height; ++y) {
      for (int x = 0; x < model.width; ++x)
        tensor.push_back(static_cast<float>(channel.at<std::uint8_t>(y, x)) / 255.0F);
    }
  }
  return tensor;
}

Picture view_i420(const std::vector<std::uint8_t>& i420, Size size) {
  Picture picture;
  picture.size = size;
  const int luma = size.width * size.height;
  picture.planes = {Plane{i420.data(), size.width}, Plane{i420.data() + luma, size.width / 2},
                    Plane{i420.data() + luma + luma / 4, size.width / 2}};
  return picture;
}

void expect_close_to_opencv(const std::vector<std::uint8_t>& i420, Size size, const char* name) {
  for (const Size model : {Size{640, 384}, Size{640, 640}, Size{416, 416}}) {
    const Letterbox plan = plan_letterbox(size, model, LetterboxPlace::kCenter).value();
    std::vector<float> tensor(static_cast<std::size_t>(3 * model.width * model.height));
    write_letterbox(view_i420(i420, size), plan, model, {}, tensor);
    const double mean = mean_difference(tensor, opencv_letterbox(i420, size, plan, model));
    testing::Test::RecordProperty(fmt::format("levels_{}_{}_{}", name, size.width, model.height),
                                  fmt::format("{:.3f}", mean * 255));
    EXPECT_LT(mean, 1.5 / 255) << name << " to " << model.width << "x" << model.height;
  }
}

TEST(WriteLetterbox, IsCloseToOpenCv) {
  for (const Size size : {Size{640, 360}, Size{1920, 1080}, Size{352, 288}, Size{1280, 728}}) {
    // Waves of some 20 to 90 pixels, brightness and colour apart.
    const TestPicture made = make_picture(size, PixelFormat::kI420, 0, [](int plane, int x, int y) {
      if (plane == 0) return 125 + 90 * std::sin(x / 7.0) * std::cos(y / 9.0);
      return 128 + 60 * std::sin(x / (9.0 + plane) + y / 11.0);
    });
    std::vector<std::uint8_t> i420 = made.bytes[0];
    i420.insert(i420.end(), made.bytes[1].begin(), made.bytes[1].end());
    i420.insert(i420.end(), made.bytes[2].begin(), made.bytes[2].end());
    expect_close_to_opencv(i420, size, "waves");
  }
}

TEST(WriteLetterbox, IsCloseToOpenCvOnRealFootage) {
  const char* const testdata = std::getenv("FRAMEMILL_TESTDATA");
  if (testdata == nullptr || !std::filesystem::exists(testdata))
    GTEST_SKIP() << "needs real clips; set FRAMEMILL_TESTDATA to the test data's folder";
  if (std::system("command -v ffmpeg >/dev/null 2>&1") != 0) GTEST_SKIP() << "needs ffmpeg";
  const std::tuple<const char*, Size> clips[] = {
      {"street_vehicles_ahmetozlu", {640, 352}},
      {"supermarket_tills_ucfcrime063", {320, 240}},
      {"street_towncentre_1080p_yas", {1920, 1080}},
  };
  for (const auto& [name, size] : clips) {
    const std::string command = std::string("ffmpeg -v error -nostdin -i '") + testdata +
                                "/clips/" + name +
                                ".mp4' -frames:v 1 -pix_fmt yuv420p -f rawvideo -";
    std::vector<std::uint8_t> i420(static_cast<std::size_t>(size.width * size.height * 3 / 2));
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
    ASSERT_NE(pipe, nullptr);
    ASSERT_EQ(std::fread(i420.data(), 1, i420.size(), pipe.get()), i420.size()) << name;
    expect_close_to_opencv(i420, size, name);
  }
}

}  // namespace
}  // namespace framemill
