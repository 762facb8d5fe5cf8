#pragma once

#include <cstddef>

namespace framemill {

/// Which instructions to use; kBest asks the CPU once. Every choice gives the same values.
enum class RowsSimd { kBest, kPortable, kAvx2 };

/// True where this CPU has what `simd` needs.
[[nodiscard]] bool is_available(RowsSimd simd);

/// best[i] = the largest of rows[r * stride + i] over r < row_count, for i < count; NaN counts as
/// smaller than anything, and no row gives -infinity. Pure, any thread; one pass over the rows.
/// Requires is_available(simd).
void max_over_rows(const float* rows, std::size_t stride, std::size_t row_count, std::size_t count,
                   float* best, RowsSimd simd = RowsSimd::kBest);

}  // namespace framemill
