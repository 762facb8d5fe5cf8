#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/core/geometry.h"
#include "framemill/infer/onnxruntime/ort_api.h"
#include "framemill/vision/yolo_head.h"

namespace framemill {

/// What goes into a model and comes out of it, as its graph says.
struct ModelPorts {
  std::string input_name;
  bool is_input_half = false;  ///< float16; else float32
  bool is_channels_last = false;
  bool is_batch_dynamic = false;
  std::optional<Size> input;  ///< empty: any size
  /// Names of the input's dynamic sides, in the order batch, channels, height, width as they lie in
  /// the tensor; empty where they have none or are fixed.
  std::vector<std::string> symbols;
  std::string output_name;  ///< of the first one, which is the only one read
  bool is_output_half = false;
  std::vector<OutputShape> outputs;
  std::map<std::string, std::string> metadata;

  /// The tensor's shape, NCHW or NHWC.
  [[nodiscard]] std::vector<std::int64_t> tensor_shape(std::size_t batch, Size size) const;
  /// True where the output's shape follows from the batch alone, so that its memory may be kept.
  [[nodiscard]] bool is_output_shape_fixed() const;
};

/// Throws what ONNX Runtime throws. Errors: kUnsupported for a model that is no detector of
/// pictures: one float input of rank 4 with 3 channels and a batch of 1 or dynamic, a float output.
[[nodiscard]] Result<ModelPorts> read_model_ports(const Ort::Session& session);

}  // namespace framemill
