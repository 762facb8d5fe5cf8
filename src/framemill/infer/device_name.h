#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

/// What of ONNX Runtime computes: an execution provider, in its words.
enum class OnnxProvider { kCpu, kCuda, kTensorRt, kTensorRtRtx };

/// A device as ONNX Runtime's backend takes it.
struct OnnxDevice {
  OnnxProvider provider = OnnxProvider::kCpu;
  int index = 0;  ///< as CUDA counts them; 0 for the CPU
  friend bool operator==(const OnnxDevice&, const OnnxDevice&) = default;
};

/// "cuda", "tensorrt", "rtx", each also with an index (":1"): devices that only ONNX Runtime has.
/// Case does not matter. Pure.
[[nodiscard]] bool is_onnxruntime_device(std::string_view text);

/// Of "auto" and "CPU" (the CPU), "GPU" (cuda:0), "GPU.N" and "cuda:N" (CUDA), "tensorrt:N",
/// "rtx:N". Case does not matter; without an index it is 0. Pure. Errors: kUnsupported.
[[nodiscard]] Result<OnnxDevice> parse_onnx_device(std::string_view text);

/// "CPU", "cuda:0", "tensorrt:0", "rtx:0": as results, metrics and profiles show it.
[[nodiscard]] std::string to_string(const OnnxDevice& device);

/// A device as OpenVINO's backend takes it.
struct OpenVinoDevice {
  std::string name;                ///< as OpenVINO takes it: "CPU", "GPU.0", "HETERO:GPU,CPU"
  std::vector<std::string> parts;  ///< the real devices it stands for, at least one
  friend bool operator==(const OpenVinoDevice&, const OpenVinoDevice&) = default;
};

/// The device that `text` asks for; case does not matter. "auto": a GPU of `available` if there is
/// one, else the CPU. "AUTO:A,B": the first of these that is there. "HETERO:A,B": one graph over
/// all of them. A virtual device of a single real one is that one. `available`: as OpenVINO lists
/// them. Pure. Errors: kUnsupported where it is not there, or spreads or batches frames, which the
/// scheduler does (MULTI, BATCH).
[[nodiscard]] Result<OpenVinoDevice> find_openvino_device(
    std::string_view text, const std::vector<std::string>& available);

}  // namespace framemill
