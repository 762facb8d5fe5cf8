// Promise: what a graphics device computes pixel by pixel (letterbox_pixel.h, letterbox_upload.h)
// is what write_letterbox() computes on the host, to the bit where that uses fused products.

#include "framemill/vision/letterbox_pixel.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "framemill/vision/letterbox_rows.h"
#include "framemill/vision/letterbox_upload.h"

namespace framemill {
namespace {

struct Case {
  PixelFormat format;
  ColorRange range;
  ColorMatrix matrix;
  Size source, model;
  int gap;  ///< bytes between rows that belong to none
};

struct NoisePicture {
  std::array<std::vector<std::uint8_t>, 3> bytes;
  Picture picture;
};

NoisePicture make_noise(const Case& c, std::mt19937& rng) {
  NoisePicture made;
  made.picture.format = c.format;
  made.picture.range = c.range;
  made.picture.matrix = c.matrix;
  made.picture.size = c.source;
  const auto fill = [&](std::size_t plane, int row_bytes, int rows) {
    const int stride = row_bytes + c.gap;
    // Ends with its last sample, so that a sanitizer sees any read past it.
    made.bytes[plane].resize(static_cast<std::size_t>(stride * (rows - 1) + row_bytes));
    for (std::uint8_t& byte : made.bytes[plane]) byte = static_cast<std::uint8_t>(rng());
    made.picture.planes[plane] = {made.bytes[plane].data(), stride};
  };
  fill(0, c.source.width, c.source.height);
  const bool is_half_wide = c.format != PixelFormat::kI444;
  const int width = is_half_wide ? (c.source.width + 1) / 2 : c.source.width;
  const bool is_half_high = c.format == PixelFormat::kI420 || c.format == PixelFormat::kNv12;
  const int height = is_half_high ? (c.source.height + 1) / 2 : c.source.height;
  if (c.format == PixelFormat::kNv12) {
    fill(1, 2 * width, height);
  } else if (c.format != PixelFormat::kGray) {
    fill(1, width, height);
    fill(2, width, height);
  }
  return made;
}

/// The tensor of one picture by the functions of the device. `block` is what travels there: of the
/// exact size.
template <typename Element>
std::vector<Element> by_pixels(const Picture& picture, const Letterbox& plan, Size model,
                               const InputStyle& style, bool is_channels_last = false) {
  LetterboxUpload upload;
  EXPECT_TRUE(upload.prepare(picture, plan, style));
  EXPECT_FALSE(upload.prepare(picture, plan, style));
  std::vector<std::uint8_t> block(upload.bytes());
  upload.write_tables(block.data());
  upload.write_samples(picture, block.data());
  const LetterboxItem item = upload.item(block.data());
  const int plane = model.width * model.height;
  std::vector<Element> values(static_cast<std::size_t>(3 * plane));
  std::memset(values.data(), 0xFF, values.size() * sizeof(Element));  // unwritten ones are seen
  const LetterboxTensor tensor{.data = values.data(),
                               .width = model.width,
                               .height = model.height,
                               .item_stride = 3LL * plane,
                               .plane_stride = is_channels_last ? 1 : plane,
                               .row_stride = is_channels_last ? 3 * model.width : model.width,
                               .pixel_stride = is_channels_last ? 3 : 1,
                               .is_half = sizeof(Element) == 2 ? 1 : 0};
  for (int y = 0; y < model.height; ++y)
    for (int x = 0; x < model.width; ++x) write_letterbox_pixel(item, tensor, 0, x, y);
  return values;
}

std::vector<float> by_rows(const RowKernels& kernels, const Picture& picture, const Letterbox& plan,
                           Size model, const InputStyle& style) {
  std::vector<float> values(static_cast<std::size_t>(3 * model.width * model.height));
  write_letterbox_with(kernels, picture, plan, model, style, values);
  return values;
}

/// One unit in the last place of the largest product that goes into a colour.
float rounding_of(const InputStyle& style) {
  return style.range == ValueRange::kUnit ? 1e-6F : 3e-4F;
}

void expect_agreement(const Case& c, const InputStyle& style, std::mt19937& rng) {
  SCOPED_TRACE(fmt::format("format {} range {} matrix {} {}x{} -> {}x{} gap {} style {}/{}/{}",
                           static_cast<int>(c.format), static_cast<int>(c.range),
                           static_cast<int>(c.matrix), c.source.width, c.source.height,
                           c.model.width, c.model.height, c.gap, static_cast<int>(style.place),
                           static_cast<int>(style.channels), static_cast<int>(style.range)));
  const NoisePicture made = make_noise(c, rng);
  const Result<Letterbox> plan = plan_letterbox(c.source, c.model, style.place);
  ASSERT_TRUE(plan);
  const std::vector<float> pixels = by_pixels<float>(made.picture, *plan, c.model, style);
  if (const RowKernels* const fused = avx2_kernels(); fused != nullptr) {
    const std::vector<float> rows = by_rows(*fused, made.picture, *plan, c.model, style);
    ASSERT_EQ(0, std::memcmp(pixels.data(), rows.data(), pixels.size() * sizeof(float)));
  }
  const std::vector<float> rows = by_rows(portable_kernels(), made.picture, *plan, c.model, style);
  for (std::size_t i = 0; i < rows.size(); ++i)
    ASSERT_NEAR(pixels[i], rows[i], rounding_of(style)) << "value " << i;
}

constexpr PixelFormat kFormats[] = {PixelFormat::kNv12, PixelFormat::kI420, PixelFormat::kI422,
                                    PixelFormat::kI444, PixelFormat::kGray};

TEST(LetterboxPixelTest, IsWhatTheHostComputesForEveryFormatRangeAndMatrix) {
  std::mt19937 rng(11);
  for (const PixelFormat format : kFormats)
    for (const ColorRange range : {ColorRange::kLimited, ColorRange::kFull})
      for (const ColorMatrix matrix :
           {ColorMatrix::kBt601, ColorMatrix::kBt709, ColorMatrix::kBt2020})
        for (const ValueRange values : {ValueRange::kUnit, ValueRange::kByte}) {
          const InputStyle style{LetterboxPlace::kCenter, ChannelOrder::kRgb, values, 114.0F};
          expect_agreement({format, range, matrix, {175, 93}, {96, 64}, 5}, style, rng);
        }
}

TEST(LetterboxPixelTest, IsWhatTheHostComputesForOddAndExtremeSizes) {
  constexpr Size kSources[] = {{1, 1},   {2, 1},   {1, 3},     {3, 2},   {17, 16},
                               {96, 64}, {97, 65}, {1288, 11}, {13, 700}};
  constexpr Size kModels[] = {{32, 32}, {96, 64}, {1, 1}, {35, 61}};
  std::mt19937 rng(12);
  for (const PixelFormat format : kFormats)
    for (const Size source : kSources)
      for (const Size model : kModels)
        expect_agreement({format, ColorRange::kLimited, ColorMatrix::kBt709, source, model, 3}, {},
                         rng);
}

TEST(LetterboxPixelTest, IsWhatTheHostComputesForRandomLayouts) {
  std::mt19937 rng(13);
  const auto draw = [&rng](int least, int most) {
    return std::uniform_int_distribution(least, most)(rng);
  };
  for (int round = 0; round < 300; ++round) {
    const InputStyle style{draw(0, 1) == 0 ? LetterboxPlace::kCenter : LetterboxPlace::kTopLeft,
                           draw(0, 1) == 0 ? ChannelOrder::kRgb : ChannelOrder::kBgr,
                           draw(0, 1) == 0 ? ValueRange::kUnit : ValueRange::kByte,
                           static_cast<float>(draw(0, 255))};
    expect_agreement({kFormats[draw(0, 4)],
                      static_cast<ColorRange>(draw(0, 1)),
                      static_cast<ColorMatrix>(draw(0, 2)),
                      {draw(1, 400), draw(1, 300)},
                      {draw(1, 200), draw(1, 160)},
                      draw(0, 40)},
                     style, rng);
  }
}

TEST(LetterboxPixelTest, WritesHalvesAndChannelsLast) {
  std::mt19937 rng(14);
  const Case c{PixelFormat::kNv12, ColorRange::kFull, ColorMatrix::kBt601, {99, 77}, {64, 64}, 0};
  const NoisePicture made = make_noise(c, rng);
  const Letterbox plan = *plan_letterbox(c.source, c.model, LetterboxPlace::kCenter);
  const std::vector<float> planes = by_pixels<float>(made.picture, plan, c.model, {});
  const std::vector<float> last = by_pixels<float>(made.picture, plan, c.model, {}, true);
  const auto halves = by_pixels<std::uint16_t>(made.picture, plan, c.model, {});
  const std::size_t plane = planes.size() / 3;
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t k = 0; k < 3; ++k) {
      ASSERT_EQ(planes[k * plane + i], last[3 * i + k]);
      ASSERT_EQ(letterbox_half(planes[k * plane + i]), halves[k * plane + i]);
    }
}

TEST(LetterboxPixelTest, OtherPicturesOfTheLayoutReuseTheTables) {
  std::mt19937 rng(15);
  const Case c{
      PixelFormat::kI420, ColorRange::kLimited, ColorMatrix::kBt601, {64, 48}, {32, 32}, 0};
  const Letterbox plan = *plan_letterbox(c.source, c.model, LetterboxPlace::kCenter);
  LetterboxUpload upload;
  Picture picture = make_noise(c, rng).picture;
  EXPECT_TRUE(upload.prepare(picture, plan, {}));
  EXPECT_FALSE(upload.prepare(make_noise(c, rng).picture, plan, {}));
  // Whatever changes the tables or the colours is another layout.
  picture.range = ColorRange::kFull;
  EXPECT_TRUE(upload.prepare(picture, plan, {}));
  picture.matrix = ColorMatrix::kBt709;
  EXPECT_TRUE(upload.prepare(picture, plan, {}));
  EXPECT_TRUE(upload.prepare(picture, plan,
                             {.place = LetterboxPlace::kCenter, .channels = ChannelOrder::kBgr}));
  Letterbox moved = plan;
  moved.top += 1;
  EXPECT_TRUE(upload.prepare(picture, moved, {}));
}

}  // namespace
}  // namespace framemill
