#include "framemill/infer/device_name.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/text_case.h"

namespace framemill {
namespace {

constexpr int kIndexMax = 63;

constexpr std::array kNames{
    std::pair<std::string_view, OnnxProvider>{"cuda", OnnxProvider::kCuda},
    std::pair<std::string_view, OnnxProvider>{"tensorrt", OnnxProvider::kTensorRt},
    std::pair<std::string_view, OnnxProvider>{"rtx", OnnxProvider::kTensorRtRtx},
};

/// The device that `text` (lower case) names as `name`, or `name` + `separator` + an index.
bool read_indexed(std::string_view text, std::string_view name, char separator, int& index) {
  if (!text.starts_with(name)) return false;
  text.remove_prefix(name.size());
  index = 0;
  if (text.empty()) return true;
  if (text.front() != separator) return false;
  text.remove_prefix(1);
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), index);
  return status == std::errc{} && end == text.data() + text.size() && index >= 0 &&
         index <= kIndexMax;
}

}  // namespace

bool is_onnxruntime_device(std::string_view text) {
  const std::string device = to_lower(text.substr(0, text.find(':')));
  return std::ranges::any_of(kNames, [&device](const auto& name) { return name.first == device; });
}

Result<OnnxDevice> parse_onnx_device(std::string_view text) {
  const std::string device = to_lower(text);
  if (device.empty() || device == "auto" || device == "cpu") return OnnxDevice{};
  int index = 0;
  for (const auto& [name, provider] : kNames)
    if (read_indexed(device, name, ':', index)) return OnnxDevice{provider, index};
  if (read_indexed(device, "gpu", '.', index)) return OnnxDevice{OnnxProvider::kCuda, index};
  return fail(ErrorCode::kUnsupported,
              fmt::format(R"(device "{}" is none of ONNX Runtime's; write auto, CPU, cuda:0, )"
                          "tensorrt:0 or rtx:0 (the number counts devices)",
                          text));
}

std::string to_string(const OnnxDevice& device) {
  for (const auto& [name, provider] : kNames)
    if (provider == device.provider) return fmt::format("{}:{}", name, device.index);
  return "CPU";
}

}  // namespace framemill
