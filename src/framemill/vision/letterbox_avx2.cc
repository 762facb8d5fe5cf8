#include "framemill/vision/letterbox_kernels.h"

// The build targets plain x86-64; only the functions marked here use AVX2 and FMA, and they are
// reached only after the processor was asked. No lambdas inside: they would not inherit the mark.
#if defined(__x86_64__)

#include <immintrin.h>

#define FRAMEMILL_AVX2 __attribute__((target("avx2,fma")))
#define FRAMEMILL_AVX2_INLINE __attribute__((target("avx2,fma"), always_inline)) inline

namespace framemill {
namespace {

/// How a kernel gets eight samples of a row.
enum class Access {
  kNone,     ///< there are none (chroma of grey pictures)
  kDirect,   ///< consecutive bytes of the source
  kShuffle,  ///< two loads of eight blended samples, then a byte shuffle: up to 2 samples per
             ///< output
  kGather,   ///< one gather of pairs: any distance, about four times as slow
};

FRAMEMILL_AVX2_INLINE __m256i load(const void* at) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(at));
}
FRAMEMILL_AVX2_INLINE __m128i load_half(const void* at) {
  return _mm_loadu_si128(static_cast<const __m128i*>(at));
}

/// mulhrs rounds (x * weight) / 2^15 just as the portable kernel does.
FRAMEMILL_AVX2_INLINE __m256i blend_lanes(__m256i a, __m256i b, __m256i weight) {
  const __m256i step = _mm256_slli_epi16(_mm256_sub_epi16(b, a), kRowBits);
  return _mm256_add_epi16(_mm256_slli_epi16(a, kRowBits), _mm256_mulhrs_epi16(step, weight));
}

FRAMEMILL_AVX2_INLINE void blend_16(const std::uint8_t* a, const std::uint8_t* b, __m256i weight,
                                    std::int16_t* out) {
  const __m256i blended =
      blend_lanes(_mm256_cvtepu8_epi16(load_half(a)), _mm256_cvtepu8_epi16(load_half(b)), weight);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), blended);
}

FRAMEMILL_AVX2 void blend(const std::uint8_t* a, const std::uint8_t* b, int weight, int count,
                          std::int16_t* out) {
  if (count < 16) return portable_kernels().blend(a, b, weight, count, out);
  const __m256i weights = _mm256_set1_epi16(static_cast<std::int16_t>(weight));
  int i = 0;
  for (; i + 16 <= count; i += 16) blend_16(a + i, b + i, weights, out + i);
  // The rest overlaps what is done, so that nothing past the end of the picture is read.
  if (i < count) blend_16(a + count - 16, b + count - 16, weights, out + count - 16);
}

FRAMEMILL_AVX2_INLINE void blend_16_pairs(const std::uint8_t* a, const std::uint8_t* b,
                                          __m256i weight, std::int16_t* u, std::int16_t* v) {
  const __m256i low = _mm256_set1_epi16(0xFF);
  const __m256i pairs_a = load(a);
  const __m256i pairs_b = load(b);
  const __m256i us =
      blend_lanes(_mm256_and_si256(pairs_a, low), _mm256_and_si256(pairs_b, low), weight);
  const __m256i vs =
      blend_lanes(_mm256_srli_epi16(pairs_a, 8), _mm256_srli_epi16(pairs_b, 8), weight);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(u), us);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(v), vs);
}

FRAMEMILL_AVX2 void blend_pairs(const std::uint8_t* a, const std::uint8_t* b, int weight, int count,
                                std::int16_t* u, std::int16_t* v) {
  if (count < 16) return portable_kernels().blend_pairs(a, b, weight, count, u, v);
  const __m256i weights = _mm256_set1_epi16(static_cast<std::int16_t>(weight));
  int i = 0;
  for (; i + 16 <= count; i += 16) blend_16_pairs(a + 2 * i, b + 2 * i, weights, u + i, v + i);
  if (i == count) return;
  i = count - 16;
  blend_16_pairs(a + 2 * i, b + 2 * i, weights, u + i, v + i);
}

/// Eight outputs from output `i` on, times 2^(kRowBits + kWeightBits).
template <Access kAccess>
FRAMEMILL_AVX2_INLINE __m256 sample(const std::int16_t* row, const std::int32_t* index,
                                    const std::int16_t* weights, const std::uint8_t* shuffle,
                                    int i) {
  __m256i pairs;
  if constexpr (kAccess == Access::kShuffle) {
    const __m256i samples = _mm256_inserti128_si256(
        _mm256_castsi128_si256(load_half(row + index[i])), load_half(row + index[i + 4]), 1);
    pairs = _mm256_shuffle_epi8(samples, load(shuffle + 4 * i));
  } else {
    pairs = _mm256_i32gather_epi32(reinterpret_cast<const int*>(row), load(index + i), 2);
  }
  return _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, load(weights + 2 * i)));
}

template <Access kLuma, Access kChroma>
FRAMEMILL_AVX2 void convert_row(const SampleRow& row, const ColorTransform& transform,
                                float* const planes[3]) {
  constexpr float kScale = 1.0F / static_cast<float>(1 << (kRowBits + kWeightBits));
  const __m256 luma_factor =
      _mm256_set1_ps(transform.luma * (kLuma == Access::kDirect ? 1.0F : kScale));
  __m256 u_factor[3], v_factor[3], offset[3];
  for (int c = 0; c < 3; ++c) {
    u_factor[c] = _mm256_set1_ps(transform.u[c] * kScale);
    v_factor[c] = _mm256_set1_ps(transform.v[c] * kScale);
    offset[c] = _mm256_set1_ps(transform.offset[c]);
  }
  const __m256 least = _mm256_setzero_ps();
  const __m256 most = _mm256_set1_ps(transform.most);
  const std::int32_t* luma_index = nullptr;
  const std::int16_t* luma_weights = nullptr;
  const std::uint8_t* luma_shuffle = nullptr;
  if constexpr (kLuma != Access::kDirect) {
    luma_index = row.luma_taps->index.data();
    luma_weights = row.luma_taps->weights.data();
    luma_shuffle = row.luma_taps->shuffle.data();
  }
  const std::int32_t* chroma_index = nullptr;
  const std::int16_t* chroma_weights = nullptr;
  const std::uint8_t* chroma_shuffle = nullptr;
  if constexpr (kChroma != Access::kNone) {
    chroma_index = row.chroma_taps->index.data();
    chroma_weights = row.chroma_taps->weights.data();
    chroma_shuffle = row.chroma_taps->shuffle.data();
  }
  float* const out[3] = {planes[0], planes[1], planes[2]};
  for (int i = 0; i < row.count; i += kLanes) {
    const bool is_whole = i + kLanes <= row.count;
    __m256 luma;
    if constexpr (kLuma == Access::kDirect) {
      std::uint8_t rest[kLanes] = {};
      const std::uint8_t* bytes = row.luma_direct + i;
      if (!is_whole) {
        for (int k = 0; i + k < row.count; ++k) rest[k] = bytes[k];
        bytes = rest;
      }
      const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
      luma = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(eight));
    } else {
      luma = sample<kLuma>(row.luma, luma_index, luma_weights, luma_shuffle, i);
    }
    __m256 color[3];
    for (int c = 0; c < 3; ++c) color[c] = _mm256_fmadd_ps(luma, luma_factor, offset[c]);
    if constexpr (kChroma != Access::kNone) {
      const __m256 u = sample<kChroma>(row.u, chroma_index, chroma_weights, chroma_shuffle, i);
      const __m256 v = sample<kChroma>(row.v, chroma_index, chroma_weights, chroma_shuffle, i);
      for (int c = 0; c < 3; ++c)
        color[c] = _mm256_fmadd_ps(v, v_factor[c], _mm256_fmadd_ps(u, u_factor[c], color[c]));
    }
    for (int c = 0; c < 3; ++c) color[c] = _mm256_min_ps(_mm256_max_ps(color[c], least), most);
    if (is_whole) {
      for (int c = 0; c < 3; ++c) _mm256_storeu_ps(out[c] + i, color[c]);
    } else {
      const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
      const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(row.count - i), lanes);
      for (int c = 0; c < 3; ++c) _mm256_maskstore_ps(out[c] + i, mask, color[c]);
    }
  }
}

template <Access kLuma>
void convert_with_luma(const SampleRow& row, const ColorTransform& transform,
                       float* const planes[3]) {
  if (!row.u) return convert_row<kLuma, Access::kNone>(row, transform, planes);
  if (row.chroma_taps->is_dense)
    return convert_row<kLuma, Access::kShuffle>(row, transform, planes);
  convert_row<kLuma, Access::kGather>(row, transform, planes);
}

void convert(const SampleRow& row, const ColorTransform& transform, float* const planes[3]) {
  if (row.luma_direct) return convert_with_luma<Access::kDirect>(row, transform, planes);
  if (row.luma_taps->is_dense) return convert_with_luma<Access::kShuffle>(row, transform, planes);
  convert_with_luma<Access::kGather>(row, transform, planes);
}

FRAMEMILL_AVX2 void fill(float* out, std::size_t count, float value) {
  const __m256 values = _mm256_set1_ps(value);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) _mm256_storeu_ps(out + i, values);
  for (; i < count; ++i) out[i] = value;
}

}  // namespace

const RowKernels* avx2_kernels() {
  static constexpr RowKernels kKernels{"avx2", blend, blend_pairs, convert, fill};
  static const bool kIsSupported =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return kIsSupported ? &kKernels : nullptr;
}

}  // namespace framemill

#else

namespace framemill {

const RowKernels* avx2_kernels() { return nullptr; }

}  // namespace framemill

#endif
