#include "framemill/vision/edge_density.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace framemill {
namespace {

#if defined(__SSE2__)
constexpr std::size_t kBlock = 16;

__m128i distance(__m128i a, __m128i b) {
  return _mm_or_si128(_mm_subs_epu8(a, b), _mm_subs_epu8(b, a));
}

__m128i load(const std::uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

/// Edges among the 16 pixels from `here` on.
int count_edges(const std::uint8_t* here, const std::uint8_t* below) {
  const __m128i pixels = load(here);
  const __m128i contrast =
      _mm_adds_epu8(distance(pixels, load(here + 1)), distance(pixels, load(below)));
  const __m128i above = _mm_subs_epu8(contrast, _mm_set1_epi8(kEdgeContrast));
  const int flat = _mm_movemask_epi8(_mm_cmpeq_epi8(above, _mm_setzero_si128()));
  return static_cast<int>(kBlock) - __builtin_popcount(static_cast<unsigned>(flat));
}
#endif

}  // namespace

double edge_density(const Thumbnail& picture) {
  if (picture.size.width < 2 || picture.size.height < 2) return 0;
  const auto width = static_cast<std::size_t>(picture.size.width);
  const auto height = static_cast<std::size_t>(picture.size.height);
  std::int64_t edges = 0;
  for (std::size_t y = 0; y + 1 < height; ++y) {
    const std::uint8_t* const here = picture.luma.data() + y * width;
    const std::uint8_t* const below = here + width;
    std::size_t x = 0;
#if defined(__SSE2__)
    for (; x + kBlock < width; x += kBlock) edges += count_edges(here + x, below + x);
#endif
    for (; x + 1 < width; ++x) {
      const int contrast = std::abs(here[x] - here[x + 1]) + std::abs(here[x] - below[x]);
      edges += contrast > kEdgeContrast ? 1 : 0;
    }
  }
  return static_cast<double>(edges) / static_cast<double>((width - 1) * (height - 1));
}

}  // namespace framemill
