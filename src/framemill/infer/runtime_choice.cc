#include "framemill/infer/runtime_choice.h"

#include <string>

#include <fmt/format.h>

#include "framemill/infer/device_name.h"

namespace framemill {

Result<RuntimeKind> parse_runtime(std::string_view text) {
  if (text == "auto" || text.empty()) return RuntimeKind::kAuto;
  if (text == "openvino") return RuntimeKind::kOpenVino;
  if (text == "onnxruntime") return RuntimeKind::kOnnxRuntime;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format(R"("{}" is no runtime; write auto, openvino or onnxruntime)", text));
}

Result<Precision> parse_precision(std::string_view text) {
  if (text == "auto" || text.empty()) return Precision::kAuto;
  if (text == "fp32") return Precision::kFp32;
  if (text == "fp16") return Precision::kFp16;
  if (text == "bf16") return Precision::kBf16;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format(R"("{}" is no precision; write auto, fp32, fp16 or bf16)", text));
}

Result<LetterboxOn> parse_letterbox_on(std::string_view text) {
  if (text == "auto" || text.empty()) return LetterboxOn::kAuto;
  if (text == "host") return LetterboxOn::kHost;
  if (text == "device") return LetterboxOn::kDevice;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format(R"("{}" letterboxes nothing; write auto, host or device)", text));
}

Result<RuntimeKind> choose_runtime(RuntimeKind wanted, std::string_view path,
                                   std::string_view device, bool has_openvino,
                                   bool has_onnxruntime) {
  const bool is_xml = path.ends_with(".xml") || path.ends_with(".XML");
  const auto refuse = [](std::string why) { return fail(ErrorCode::kUnsupported, std::move(why)); };
  const bool is_onnxruntimes = is_onnxruntime_device(device);
  RuntimeKind kind = wanted;
  if (kind == RuntimeKind::kAuto)
    kind = is_onnxruntimes || (!has_openvino && has_onnxruntime && !is_xml)
               ? RuntimeKind::kOnnxRuntime
               : RuntimeKind::kOpenVino;
  if (kind == RuntimeKind::kOnnxRuntime) {
    if (is_xml)
      return refuse(
          fmt::format("{}: ONNX Runtime reads .onnx files, not OpenVINO's; give the ONNX "
                      "file it came from, or set runtime: openvino",
                      path));
    if (!has_onnxruntime)
      return refuse(fmt::format(
          "{}: this build has no ONNX Runtime{}; build framemill with "
          "-DFRAMEMILL_ONNXRUNTIME=ON",
          path, is_onnxruntimes ? fmt::format(R"(, which the device "{}" needs)", device) : ""));
    return kind;
  }
  if (!has_openvino)
    return refuse(
        fmt::format("{}: this build has no {}; build framemill with "
                    "-DFRAMEMILL_OPENVINO=ON",
                    path, has_onnxruntime ? "OpenVINO" : "inference runtime"));
  if (is_onnxruntimes)
    return refuse(fmt::format(R"({}: the device "{}" is one of ONNX Runtime; set runtime: auto or )"
                              "onnxruntime",
                              path, device));
  return kind;
}

}  // namespace framemill
