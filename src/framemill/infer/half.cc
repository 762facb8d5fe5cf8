#include "framemill/infer/half.h"

#include <algorithm>
#include <bit>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// Numbers below 2^-14 have no exponent in a half: adding this float puts their bits in place,
/// rounded by the addition itself.
constexpr float kSmallMagic = 0.5F;
constexpr std::uint32_t kSmallMagicBits = 126U << 23;

std::uint16_t half_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 31 << 15;
  const std::uint32_t magnitude = bits & 0x7FFF'FFFFU;
  if (magnitude > 0x7F80'0000U) return static_cast<std::uint16_t>(sign | 0x7E00U);   // NaN
  if (magnitude >= 0x4780'0000U) return static_cast<std::uint16_t>(sign | 0x7C00U);  // >= 2^16
  if (magnitude < 0x3880'0000U) {                                                    // < 2^-14
    const float sum = std::bit_cast<float>(magnitude) + kSmallMagic;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(sum) - kSmallMagicBits));
  }
  const std::uint32_t odd = magnitude >> 13 & 1;  // ties go to the even one
  const std::uint32_t rounded = magnitude - (112U << 23) + 0xFFFU + odd;
  return static_cast<std::uint16_t>(sign | rounded >> 13);
}

float float_of(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half >> 15) << 31;
  const std::uint32_t exponent = half >> 10 & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F80'0000U | fraction << 13);
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

#if defined(__x86_64__)
constexpr std::size_t kWide = 8;

__attribute__((target("avx,f16c"))) std::size_t to_half_wide(std::span<const float> floats,
                                                             std::uint16_t* halves) {
  std::size_t i = 0;
  for (; i + kWide <= floats.size(); i += kWide)
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(halves + i),
        _mm256_cvtps_ph(_mm256_loadu_ps(floats.data() + i), _MM_FROUND_TO_NEAREST_INT));
  return i;
}

__attribute__((target("avx,f16c"))) std::size_t to_float_wide(std::span<const std::uint16_t> halves,
                                                              float* floats) {
  std::size_t i = 0;
  for (; i + kWide <= halves.size(); i += kWide)
    _mm256_storeu_ps(
        floats + i,
        _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves.data() + i))));
  return i;
}

bool has_f16c() {
  // By its bit: clang 14 does not know the feature by name. AVX says that the system keeps the
  // registers.
  unsigned int a = 0;
  unsigned int b = 0;
  unsigned int c = 0;
  unsigned int d = 0;
  return __builtin_cpu_supports("avx") && __get_cpuid(1, &a, &b, &c, &d) != 0 &&
         (c & bit_F16C) != 0;
}
#endif

}  // namespace

void to_half(std::span<const float> floats, std::span<std::uint16_t> halves) {
  CHECK(floats.size() == halves.size());
  std::size_t i = 0;
#if defined(__x86_64__)
  if (has_f16c()) i = to_half_wide(floats, halves.data());
#endif
  for (; i < floats.size(); ++i) halves[i] = half_of(floats[i]);
}

void to_float(std::span<const std::uint16_t> halves, std::span<float> floats) {
  CHECK(floats.size() == halves.size());
  std::size_t i = 0;
#if defined(__x86_64__)
  if (has_f16c()) i = to_float_wide(halves, floats.data());
#endif
  for (; i < halves.size(); ++i) floats[i] = float_of(halves[i]);
}

}  // namespace framemill
