#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "framemill/base/result.h"

namespace framemill {

/// How many numbers of which kind an ONNX file holds as weights.
struct OnnxWeightCounts {
  std::uint64_t int8 = 0;
  std::uint64_t half = 0;  ///< float16 and bfloat16
  std::uint64_t fp32 = 0;
  friend bool operator==(const OnnxWeightCounts&, const OnnxWeightCounts&) = default;
};

/// Counts initializers and the tensors of Constant nodes of the main graph, from the bytes of the
/// file. ONNX Runtime tells neither. Pure; never fails: what is no protobuf message counts nothing.
[[nodiscard]] OnnxWeightCounts count_onnx_weights(std::span<const std::uint8_t> file);

/// "int8" where most weights are, else the float type most of them have; for people.
[[nodiscard]] std::string precision_of(const OnnxWeightCounts& counts);

/// precision_of() the file's weights; "fp32" where it cannot be read. Cost: reading it once.
[[nodiscard]] std::string onnx_file_precision(const std::string& path);

}  // namespace framemill
