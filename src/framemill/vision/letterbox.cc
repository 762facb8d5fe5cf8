#include "framemill/vision/letterbox.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/vision/letterbox_kernels.h"
#include "framemill/vision/letterbox_places.h"
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
    const SamplePlace place = place_of(output, step, subsampling, samples);
    const int second = weight_across(place);
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

const std::uint8_t* row_of(const Plane& plane, int y) {
  return plane.data + static_cast<std::ptrdiff_t>(y) * plane.stride;
}

}  // namespace

void ScaledRows::prepare(const Picture& picture, Size scaled, ChannelOrder channels,
                         ValueRange range) {
  const Layout layout{picture.format, picture.range, picture.matrix, picture.size,
                      scaled,         channels,      range};
  if (layout == layout_) return;
  layout_ = layout;
  transform_ = color_transform(picture, channels, range);
  const Size size = picture.size;
  const double step = static_cast<double>(size.width) / scaled.width;
  make_taps(scaled.width, step, 1, size.width, luma_taps_);
  const ChromaPlane chroma = chroma_plane_of(picture.format, size);
  chroma_width_ = chroma.size.width;
  chroma_height_ = chroma.size.height;
  make_taps(scaled.width, step, chroma.across, chroma_width_, chroma_taps_);
  luma_row_.resize(static_cast<std::size_t>(size.width + kRowPadding));
  u_row_.resize(static_cast<std::size_t>(chroma_width_ + kRowPadding));
  v_row_.resize(u_row_.size());
}

void ScaledRows::write_row(const RowKernels& kernels, const Picture& picture, int y,
                           float* const planes[3]) {
  const double step = static_cast<double>(layout_.source.height) / layout_.scaled.height;
  SampleRow row{.count = layout_.scaled.width};

  const RowPair luma = row_pair_of(y, step, 1, layout_.source.height);
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
    const RowPair chroma = row_pair_of(y, step, subsampling, chroma_height_);
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

  const float border = border_value(style);
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
