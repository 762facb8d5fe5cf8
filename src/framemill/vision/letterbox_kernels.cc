#include "framemill/vision/letterbox_kernels.h"

#include <algorithm>

namespace framemill {
namespace {

std::int16_t blend_one(int a, int b, int weight) {
  const int step = ((b - a) * (1 << kRowBits) * weight + (1 << (kBlendBits - 1))) >> kBlendBits;
  return static_cast<std::int16_t>(a * (1 << kRowBits) + step);
}

void blend(const std::uint8_t* a, const std::uint8_t* b, int weight, int count, std::int16_t* out) {
  for (int i = 0; i < count; ++i) out[i] = blend_one(a[i], b[i], weight);
}

void blend_pairs(const std::uint8_t* a, const std::uint8_t* b, int weight, int count,
                 std::int16_t* u, std::int16_t* v) {
  for (int i = 0; i < count; ++i) {
    u[i] = blend_one(a[2 * i], b[2 * i], weight);
    v[i] = blend_one(a[2 * i + 1], b[2 * i + 1], weight);
  }
}

float sample(const std::int16_t* row, const Taps& taps, int i) {
  constexpr float kScale = 1.0F / static_cast<float>(1 << (kRowBits + kWeightBits));
  const std::int16_t* at = row + taps.index[static_cast<std::size_t>(i)];
  const std::int16_t* weight = taps.weights.data() + 2 * static_cast<std::ptrdiff_t>(i);
  return static_cast<float>(at[0] * weight[0] + at[1] * weight[1]) * kScale;
}

void convert(const SampleRow& row, const ColorTransform& transform, float* const planes[3]) {
  for (int i = 0; i < row.count; ++i) {
    const float luma =
        row.luma_direct ? row.luma_direct[i] : sample(row.luma, *row.luma_taps, i);
    const float u = row.u ? sample(row.u, *row.chroma_taps, i) : 0.0F;
    const float v = row.v ? sample(row.v, *row.chroma_taps, i) : 0.0F;
    for (int c = 0; c < 3; ++c) {
      const float value = luma * transform.luma + transform.offset[c] + u * transform.u[c] +
                          v * transform.v[c];
      planes[c][i] = std::clamp(value, 0.0F, transform.most);
    }
  }
}

void fill(float* out, std::size_t count, float value) { std::fill_n(out, count, value); }

}  // namespace

const RowKernels& portable_kernels() {
  static constexpr RowKernels kKernels{"portable", blend, blend_pairs, convert, fill};
  return kKernels;
}

const RowKernels& best_kernels() {
  static const RowKernels& kBest = avx2_kernels() ? *avx2_kernels() : portable_kernels();
  return kBest;
}

}  // namespace framemill
