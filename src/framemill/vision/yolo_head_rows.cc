#include "framemill/vision/yolo_head_rows.h"

#include <algorithm>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace framemill {
namespace {

// The class-major layout keeps the scores of one class together, so the best class of each
// candidate is found row by row, keeping a running maximum. Only the maximum: an index beside it
// would double the work, and the few candidates over the threshold can look theirs up. `>` is false
// for NaN, exactly like MAXPS with the running maximum as second operand, so every version gives
// the same bits.

// Four rows at a time, so that the running maximum is loaded and stored once for four loads of
// scores.
constexpr std::size_t kRowsAtOnce = 4;

void max_portable(const float* rows, std::size_t stride, std::size_t row_count, std::size_t count,
                  float* best) {
  constexpr std::size_t kLanes = 16;  // a fixed count is what GCC vectorises at -O2
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    float lanes[kLanes];
    std::fill_n(lanes, kLanes, -std::numeric_limits<float>::infinity());
    for (std::size_t r = 0; r < row_count; ++r) {
      const float* const row = rows + r * stride + i;
      for (std::size_t k = 0; k < kLanes; ++k) lanes[k] = row[k] > lanes[k] ? row[k] : lanes[k];
    }
    std::copy_n(lanes, kLanes, best + i);
  }
  for (; i < count; ++i) {
    best[i] = -std::numeric_limits<float>::infinity();
    for (std::size_t r = 0; r < row_count; ++r) {
      const float value = rows[r * stride + i];
      best[i] = value > best[i] ? value : best[i];
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void max_avx2(const float* rows, std::size_t stride,
                                              std::size_t row_count, std::size_t count,
                                              float* best) {
  constexpr std::size_t kLanes = 8;
  std::fill_n(best, count, -std::numeric_limits<float>::infinity());
  std::size_t r = 0;
  for (; r + kRowsAtOnce <= row_count; r += kRowsAtOnce) {
    const float* const row0 = rows + r * stride;
    const float* const row1 = row0 + stride;
    const float* const row2 = row1 + stride;
    const float* const row3 = row2 + stride;
    std::size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      __m256 most = _mm256_loadu_ps(best + i);
      most = _mm256_max_ps(_mm256_loadu_ps(row0 + i), most);
      most = _mm256_max_ps(_mm256_loadu_ps(row1 + i), most);
      most = _mm256_max_ps(_mm256_loadu_ps(row2 + i), most);
      most = _mm256_max_ps(_mm256_loadu_ps(row3 + i), most);
      _mm256_storeu_ps(best + i, most);
    }
    for (; i < count; ++i) {
      for (const float* row : {row0, row1, row2, row3})
        best[i] = row[i] > best[i] ? row[i] : best[i];
    }
  }
  for (; r < row_count; ++r) {
    const float* const row = rows + r * stride;
    for (std::size_t i = 0; i < count; ++i) best[i] = row[i] > best[i] ? row[i] : best[i];
  }
}
#endif

}  // namespace

bool is_available(RowsSimd simd) {
#if defined(__x86_64__)
  if (simd == RowsSimd::kAvx2) return __builtin_cpu_supports("avx2") != 0;
#endif
  return simd != RowsSimd::kAvx2;
}

void max_over_rows(const float* rows, std::size_t stride, std::size_t row_count, std::size_t count,
                   float* best, RowsSimd simd) {
#if defined(__x86_64__)
  static const bool has_avx2 = is_available(RowsSimd::kAvx2);
  if (simd == RowsSimd::kAvx2 || (simd == RowsSimd::kBest && has_avx2)) {
    max_avx2(rows, stride, row_count, count, best);
    return;
  }
#endif
  static_cast<void>(simd);
  max_portable(rows, stride, row_count, count, best);
}

}  // namespace framemill
