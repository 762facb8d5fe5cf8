#pragma once

#include <openvino/core/model.hpp>

namespace framemill {

/// Turns each pair of QuantizeLinear and DequantizeLinear of activations into the one operation,
/// FakeQuantize, that an IR has in their place: the same arithmetic. OpenVINO's reader of ONNX
/// leaves them as chains of conversions; its processor plug-in then computes models that add or
/// join quantised parts with others (C2f, C3) wrongly (2026.4.1: such a detector finds nothing, and
/// no error says so). Weights stay INT8. Not thread-safe.
void fuse_quantization(ov::Model& model);

}  // namespace framemill
