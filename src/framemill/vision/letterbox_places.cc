#include "framemill/vision/letterbox_places.h"

#include <algorithm>
#include <cmath>

namespace framemill {
namespace {

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

int halved(int side) { return (side + 1) / 2; }

}  // namespace

SamplePlace place_of(int output, double step, int subsampling, int count) {
  const double position = (output + 0.5) * step / subsampling - 0.5;
  if (position <= 0) return {};
  const int index = static_cast<int>(position);
  if (index >= count - 1) return {count - 1, 0};
  return {index, position - index};
}

int weight_across(const SamplePlace& place) {
  return static_cast<int>(std::lround(place.weight * (1 << kWeightBits)));
}

RowPair row_pair_of(int output, double step, int subsampling, int rows) {
  const SamplePlace place = place_of(output, step, subsampling, rows);
  constexpr int kMost = (1 << kBlendBits) - 1;
  const int weight = std::min(static_cast<int>(std::lround(place.weight * (kMost + 1))), kMost);
  return {place.index, weight == 0 ? place.index : place.index + 1, weight};
}

ChromaPlane chroma_plane_of(PixelFormat format, Size size) {
  switch (format) {
    case PixelFormat::kI420:
    case PixelFormat::kNv12:
      return {2, 2, {halved(size.width), halved(size.height)}};
    case PixelFormat::kI422:
      return {2, 1, {halved(size.width), size.height}};
    case PixelFormat::kI444:
    case PixelFormat::kGray:
      break;
  }
  return {1, 1, size};
}

ColorTransform color_transform(const Picture& picture, ChannelOrder channels, ValueRange range) {
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

float border_value(const InputStyle& style) {
  return style.range == ValueRange::kUnit ? style.border / 255 : style.border;
}

}  // namespace framemill
