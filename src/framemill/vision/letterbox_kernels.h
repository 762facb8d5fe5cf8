#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "framemill/core/picture.h"

namespace framemill {

// The inner loops of letterbox.cc, one table of functions per instruction set. All of them compute
// the same integers up to the colour transform, so they agree up to the rounding of one float.

inline constexpr int kLanes = 8;    ///< outputs a kernel makes at a time; tables are padded to it
inline constexpr int kRowBits = 7;  ///< a blended row holds samples x 2^7: 0..32640 in 16 bits
inline constexpr int kWeightBits = 14;  ///< weights across; two of them sum to 2^14
inline constexpr int kBlendBits = 15;   ///< weights between two rows
inline constexpr int kRowPadding = 16;  ///< samples readable past the end of a blended row

/// Where the outputs of a row lie in a source row: output i between samples index[i] and index[i]
/// + 1. A neighbour past the end has weight 0. Tables are padded to a multiple of kLanes with their
/// last entry.
struct Taps {
  int count = 0;             ///< outputs
  bool is_identity = false;  ///< output i is sample i
  bool is_dense =
      false;  ///< any 4 outputs from a multiple of 4 lie within 8 samples: `shuffle` holds
  std::vector<std::int32_t> index;
  std::vector<std::int16_t> weights;  ///< two per output: of sample index[i], of its neighbour
  std::vector<std::uint8_t> shuffle;  ///< 4 bytes per output: places of its two samples in those 8
};

/// From samples to colours: colour[c] = luma[c] * Y + u[c] * U + v[c] * V + offset[c], then cut to
/// 0..most. In the order of the model's planes.
struct ColorTransform {
  float luma = 0;
  float u[3] = {0, 0, 0};
  float v[3] = {0, 0, 0};
  float offset[3] = {0, 0, 0};
  float most = 0;
};

/// One row, ready to be sampled across.
struct SampleRow {
  const std::uint8_t* luma_direct =
      nullptr;  ///< set: outputs are these samples, luma_taps is unused
  const std::int16_t* luma = nullptr;
  const Taps* luma_taps = nullptr;
  const std::int16_t* u = nullptr;  ///< null for grey pictures
  const std::int16_t* v = nullptr;
  const Taps* chroma_taps = nullptr;
  int count = 0;  ///< outputs
};

struct RowKernels {
  const char* name;
  /// out[i] = (a[i] + (b[i] - a[i]) * weight / 2^15) * 2^7. 0 <= weight < 2^15.
  void (*blend)(const std::uint8_t* a, const std::uint8_t* b, int weight, int count,
                std::int16_t* out);
  /// The same for interleaved chroma: count pairs in, count samples in each of u and v.
  void (*blend_pairs)(const std::uint8_t* a, const std::uint8_t* b, int weight, int count,
                      std::int16_t* u, std::int16_t* v);
  /// Samples `row` across and writes row.count floats to each plane, not one more.
  void (*convert)(const SampleRow& row, const ColorTransform& transform, float* const planes[3]);
  void (*fill)(float* out, std::size_t count, float value);
};

/// Works on any processor.
[[nodiscard]] const RowKernels& portable_kernels();
/// Null where processor or build lacks AVX2 with FMA.
[[nodiscard]] const RowKernels* avx2_kernels();
/// The fastest that this processor runs.
[[nodiscard]] const RowKernels& best_kernels();

}  // namespace framemill
