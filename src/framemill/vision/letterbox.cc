#include "framemill/vision/letterbox.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/vision/letterbox_kernels.h"
#include "framemill/vision/letterbox_rows.h"

// The way of a pixel. Decoders give YUV in planes, models want planes of float colours in another
// size. Doing this in three steps (convert, scale, spread) costs three passes over pictures that do
// not fit the cache, and scales three channels of full size. Here each output row is made at once:
//   1. the two source rows around it are blended, plane by plane, chroma at its own (half) size,
//   into
//      one row of 16-bit samples (skipped where luma lies exactly on a row and is not scaled
//      across);
//   2. that row is sampled across by a table of places and weights, made once per layout;
//   3. luma and the two chroma samples give three colours, which go straight into the tensor.
// Chroma is interpolated where other converters repeat the nearest sample; it is taken to lie in
// the middle of the luma samples it covers. Like OpenCV's INTER_LINEAR, shrinking by more than two
// reads two samples each way and skips the rest: what models get to see in training is made the
// same way. Times: letterbox_bench.cc.

namespace framemill {
namespace {

/// Between which two samples a position lies.
struct Place {
  int index = 0;
  double weight = 0;  ///< of sample index + 1, 0 <= weight < 1; 0 at the last sample
};

/// `output` of a scale with `step` samples of full size per output, in a plane that has one sample
/// per `subsampling` samples of full size and `count` of them. Centres are aligned.
Place place_of(int output, double step, int subsampling, int count) {
  const double position = (output + 0.5) * step / subsampling - 0.5;
  if (position <= 0) return {};
  const int index = static_cast<int>(position);
  if (index >= count - 1) return {count - 1, 0};
  return {index, position - index};
}

void make_taps(int outputs, double step, int subsampling, int samples, Taps& taps) {
  const auto padded = static_cast<std::size_t>((outputs + kLanes - 1) / kLanes * kLanes);
  taps.count = outputs;
  taps.is_identity = subsampling == 1 && step == 1.0;
  taps.is_dense = true;
  taps.index.resize(padded);
  taps.weights.resize(2 * padded);
  taps.shuffle.resize(4 * padded);
  constexpr int kOne = 1 << kWeightBits;
  for (std::size_t i = 0; i < padded; ++i) {
    const int output = std::min(static_cast<int>(i), outputs - 1);
    const Place place = place_of(output, step, subsampling, samples);
    const int second = static_cast<int>(std::lround(place.weight * kOne));
    taps.index[i] = place.index;
    taps.weights[2 * i] = static_cast<std::int16_t>(kOne - second);
    taps.weights[2 * i + 1] = static_cast<std::int16_t>(second);
    const int offset = 2 * (place.index - taps.index[i / 4 * 4]);  // bytes from the group's first
    taps.is_dense = taps.is_dense && offset <= 12;
    for (int byte = 0; byte < 4; ++byte)
      taps.shuffle[4 * i + static_cast<std::size_t>(byte)] =
          static_cast<std::uint8_t>((offset + byte) & 15);
  }
}

/// Weights of red and blue in luma.
struct LumaWeights {
  double red, blue;
};

LumaWeights luma_weights(ColorMatrix matrix) {
  switch (matrix) {
    case ColorMatrix::kBt601:
      return {0.299, 0.114};
    case ColorMatrix::kBt709:
      return {0.2126, 0.0722};
    case ColorMatrix::kBt2020:
      return {0.2627, 0.0593};
  }
  return {0.299, 0.114};
}

/// ITU-R BT.601/709/2020, section 3: R = Y + 2 (1 - kr) V and so on, Y and chroma stretched first.
ColorTransform make_transform(const Picture& picture, ChannelOrder channels, ValueRange range) {
  const auto [red, blue] = luma_weights(picture.matrix);
  const double green = 1 - red - blue;
  const bool is_limited = picture.range == ColorRange::kLimited;
  const double unit = range == ValueRange::kUnit ? 1.0 / 255 : 1.0;
  const double luma = unit * (is_limited ? 255.0 / 219 : 1.0);
  const double chroma = unit * (is_limited ? 255.0 / 224 : 1.0);
  const double black = is_limited ? 16 : 0;
  const double u[3] = {0, -2 * (1 - blue) * blue / green * chroma, 2 * (1 - blue) * chroma};
  const double v[3] = {2 * (1 - red) * chroma, -2 * (1 - red) * red / green * chroma, 0};
  const bool has_chroma = picture.format != PixelFormat::kGray;
  ColorTransform transform;
  transform.luma = static_cast<float>(luma);
  transform.most = static_cast<float>(255 * unit);
  for (int plane = 0; plane < 3; ++plane) {
    const int c = channels == ChannelOrder::kRgb ? plane : 2 - plane;
    double offset = -black * luma;
    if (has_chroma) {
      transform.u[plane] = static_cast<float>(u[c]);
      transform.v[plane] = static_cast<float>(v[c]);
      offset -= 128 * (u[c] + v[c]);
    }
    transform.offset[plane] = static_cast<float>(offset);
  }
  return transform;
}

const std::uint8_t* row_of(const Plane& plane, int y) {
  return plane.data + static_cast<std::ptrdiff_t>(y) * plane.stride;
}

/// Rows around a place, with the weight as kernels want it.
struct RowPair {
  int first, second, weight;
};

RowPair pair_of(int output, double step, int subsampling, int rows) {
  const Place place = place_of(output, step, subsampling, rows);
  constexpr int kMost = (1 << kBlendBits) - 1;
  const int weight = std::min(static_cast<int>(std::lround(place.weight * (kMost + 1))), kMost);
  return {place.index, weight == 0 ? place.index : place.index + 1, weight};
}

int halved(int side) { return (side + 1) / 2; }

}  // namespace

void ScaledRows::prepare(const Picture& picture, Size scaled, ChannelOrder channels,
                         ValueRange range) {
  const Layout layout{picture.format, picture.range, picture.matrix, picture.size,
                      scaled,         channels,      range};
  if (layout == layout_) return;
  layout_ = layout;
  transform_ = make_transform(picture, channels, range);
  const Size size = picture.size;
  const double step = static_cast<double>(size.width) / scaled.width;
  make_taps(scaled.width, step, 1, size.width, luma_taps_);
  const bool is_halved_across =
      picture.format != PixelFormat::kI444 && picture.format != PixelFormat::kGray;
  const bool is_halved_down =
      picture.format == PixelFormat::kI420 || picture.format == PixelFormat::kNv12;
  chroma_width_ = is_halved_across ? halved(size.width) : size.width;
  chroma_height_ = is_halved_down ? halved(size.height) : size.height;
  make_taps(scaled.width, step, is_halved_across ? 2 : 1, chroma_width_, chroma_taps_);
  luma_row_.resize(static_cast<std::size_t>(size.width + kRowPadding));
  u_row_.resize(static_cast<std::size_t>(chroma_width_ + kRowPadding));
  v_row_.resize(u_row_.size());
}

void ScaledRows::write_row(const RowKernels& kernels, const Picture& picture, int y,
                           float* const planes[3]) {
  const double step = static_cast<double>(layout_.source.height) / layout_.scaled.height;
  SampleRow row{.count = layout_.scaled.width};

  const RowPair luma = pair_of(y, step, 1, layout_.source.height);
  const Plane& luma_plane = picture.planes[0];
  if (luma_taps_.is_identity && luma.weight == 0) {
    row.luma_direct = row_of(luma_plane, luma.first);
  } else {
    kernels.blend(row_of(luma_plane, luma.first), row_of(luma_plane, luma.second), luma.weight,
                  layout_.source.width, luma_row_.data());
    row.luma = luma_row_.data();
    row.luma_taps = &luma_taps_;
  }

  if (picture.format != PixelFormat::kGray) {
    const int subsampling = chroma_height_ == layout_.source.height ? 1 : 2;
    const RowPair chroma = pair_of(y, step, subsampling, chroma_height_);
    const Plane& first = picture.planes[1];
    const Plane& second = picture.planes[2];
    if (picture.format == PixelFormat::kNv12) {
      kernels.blend_pairs(row_of(first, chroma.first), row_of(first, chroma.second), chroma.weight,
                          chroma_width_, u_row_.data(), v_row_.data());
    } else {
      kernels.blend(row_of(first, chroma.first), row_of(first, chroma.second), chroma.weight,
                    chroma_width_, u_row_.data());
      kernels.blend(row_of(second, chroma.first), row_of(second, chroma.second), chroma.weight,
                    chroma_width_, v_row_.data());
    }
    row.u = u_row_.data();
    row.v = v_row_.data();
    row.chroma_taps = &chroma_taps_;
  }
  kernels.convert(row, transform_, planes);
}

Result<Letterbox> plan_letterbox(Size source, Size model, LetterboxPlace place) {
  if (source.width < 1 || source.height < 1 || model.width < 1 || model.height < 1) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("cannot fit a picture of {}x{} into a model input of {}x{}: "
                            "every side must be at least 1",
                            source.width, source.height, model.width, model.height));
  }
  Letterbox plan;
  plan.scale = std::min(static_cast<double>(model.width) / source.width,
                        static_cast<double>(model.height) / source.height);
  // nearbyint rounds halves to even, as Python's round() does for Ultralytics.
  plan.resized.width = std::max(1, static_cast<int>(std::nearbyint(source.width * plan.scale)));
  plan.resized.height = std::max(1, static_cast<int>(std::nearbyint(source.height * plan.scale)));
  if (place == LetterboxPlace::kCenter) {
    plan.left = (model.width - plan.resized.width) / 2;
    plan.top = (model.height - plan.resized.height) / 2;
  }
  return plan;
}

void write_letterbox_with(const RowKernels& kernels, const Picture& picture, const Letterbox& plan,
                          Size model, const InputStyle& style, std::span<float> tensor) {
  const auto width = static_cast<std::size_t>(model.width);
  const std::size_t plane_size = width * static_cast<std::size_t>(model.height);
  CHECK(model.width > 0 && model.height > 0 && tensor.size() == 3 * plane_size);
  const int right = plan.left + plan.resized.width;
  const int bottom = plan.top + plan.resized.height;
  CHECK(plan.left >= 0 && plan.resized.width > 0 && right <= model.width);
  CHECK(plan.top >= 0 && plan.resized.height > 0 && bottom <= model.height);
  CHECK(picture.size.width > 0 && picture.size.height > 0 && picture.planes[0].data != nullptr);

  // A thread serves few layouts, mostly one: the tables stay until another comes along.
  thread_local ScaledRows rows;
  rows.prepare(picture, plan.resized, style.channels, style.range);

  const float border = style.range == ValueRange::kUnit ? style.border / 255 : style.border;
  const auto left = static_cast<std::size_t>(plan.left);
  const auto right_border = static_cast<std::size_t>(model.width - right);
  const auto fill_rows = [&](int first, int last) {
    for (std::size_t c = 0; c < 3; ++c) {
      kernels.fill(tensor.data() + c * plane_size + static_cast<std::size_t>(first) * width,
                   static_cast<std::size_t>(last - first) * width, border);
    }
  };
  fill_rows(0, plan.top);
  for (int y = plan.top; y < bottom; ++y) {
    float* const row = tensor.data() + static_cast<std::size_t>(y) * width;
    float* const planes[3] = {row + left, row + plane_size + left, row + 2 * plane_size + left};
    rows.write_row(kernels, picture, y - plan.top, planes);
    for (float* const plane : planes) {
      kernels.fill(plane - left, left, border);
      kernels.fill(plane + plan.resized.width, right_border, border);
    }
  }
  fill_rows(bottom, model.height);
}

void write_letterbox(const Picture& picture, const Letterbox& plan, Size model,
                     const InputStyle& style, std::span<float> tensor) {
  write_letterbox_with(best_kernels(), picture, plan, model, style, tensor);
}

Box to_source(const Box& box, const Letterbox& plan, Size source) {
  const auto across = [&plan](float x) {
    return static_cast<float>((static_cast<double>(x) - plan.left) / plan.scale);
  };
  const auto down = [&plan](float y) {
    return static_cast<float>((static_cast<double>(y) - plan.top) / plan.scale);
  };
  return clip({across(box.x1), down(box.y1), across(box.x2), down(box.y2)}, source);
}

}  // namespace framemill
