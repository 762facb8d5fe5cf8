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

/// Times 2^(kRowBits + kWeightBits).
void sample(const std::int16_t* row, const Taps& taps, int first, int count, float* out) {
  const std::int32_t* index = taps.index.data() + first;
  const std::int16_t* weights = taps.weights.data() + 2 * static_cast<std::ptrdiff_t>(first);
  for (int i = 0; i < count; ++i) {
    const std::int16_t* at = row + index[i];
    out[i] = static_cast<float>(at[0] * weights[2 * i] + at[1] * weights[2 * i + 1]);
  }
}

/// In blocks, so that samples stay in the nearest cache and the colour loops are easy to vectorise.
void convert(const SampleRow& row, const ColorTransform& transform, float* const planes[3]) {
  constexpr int kBlock = 64;
  constexpr float kScale = 1.0F / static_cast<float>(1 << (kRowBits + kWeightBits));
  const float luma_factor = transform.luma * (row.luma_direct ? 1.0F : kScale);
  float luma[kBlock];
  float u[kBlock] = {};
  float v[kBlock] = {};
  for (int first = 0; first < row.count; first += kBlock) {
    const int count = std::min(kBlock, row.count - first);
    if (row.luma_direct)
      std::copy_n(row.luma_direct + first, count, luma);
    else
      sample(row.luma, *row.luma_taps, first, count, luma);
    if (row.u) {
      sample(row.u, *row.chroma_taps, first, count, u);
      sample(row.v, *row.chroma_taps, first, count, v);
    }
    for (int c = 0; c < 3; ++c) {
      const float u_factor = transform.u[c] * kScale;
      const float v_factor = transform.v[c] * kScale;
      const float offset = transform.offset[c];
      const float most = transform.most;
      float* const out = planes[c] + first;
      for (int i = 0; i < count; ++i) {
        const float value = luma[i] * luma_factor + offset + u[i] * u_factor + v[i] * v_factor;
        const float lifted = value > 0.0F ? value : 0.0F;
        out[i] = lifted < most ? lifted : most;
      }
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
