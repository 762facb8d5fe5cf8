#include "framemill/infer/device_name.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framemill/base/text_case.h"
#include "framemill/base/word_list.h"

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

/// "GPU" stands for "GPU.0" as well.
bool is_listed(const std::string& device, const std::vector<std::string>& available) {
  return std::ranges::any_of(available, [&device](const std::string& name) {
    return name == device || name.starts_with(device + ".") || name + ".0" == device;
  });
}

Failure fail_as_missing(std::string_view device, const std::vector<std::string>& available) {
  return fail(ErrorCode::kUnsupported,
              fmt::format(R"(device "{}" is not there; OpenVINO finds {} (drivers missing?); set )"
                          R"("device: auto" or one of these)",
                          device, fmt::join(available, ", ")));
}

std::string pick_openvino_device(const std::vector<std::string>& available) {
  const auto gpu = std::ranges::find_if(
      available, [](const std::string& name) { return name.starts_with("GPU"); });
  return gpu == available.end() ? std::string("CPU") : *gpu;
}

/// OpenVINO's devices over devices. It tells little of them (no name, no abilities, not when they
/// are slow), so what the scheduler does itself is left to it.
Result<OpenVinoDevice> find_virtual_device(const std::string& kind,
                                           const std::vector<std::string>& parts,
                                           const std::vector<std::string>& available) {
  const std::string all = fmt::format("{}", fmt::join(parts, ", "));
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kUnsupported,
                fmt::format(R"(device "{}:{}" {})", kind, fmt::join(parts, ","), why));
  };
  if (kind != "AUTO" && kind != "HETERO" && kind != "MULTI")
    return refuse(kind == "BATCH" ? "makes batches, which framemill does itself; name the device"
                                  : "is none of OpenVINO's; write CPU, GPU or HETERO:GPU,CPU");
  if (parts.empty()) return refuse("names no device; write HETERO:GPU,CPU, or CPU alone");
  if (kind == "AUTO") {
    const auto first = std::ranges::find_if(
        parts, [&available](const std::string& part) { return is_listed(part, available); });
    if (first == parts.end()) return fail_as_missing(all, available);
    return OpenVinoDevice{*first, {*first}};
  }
  for (const std::string& part : parts)
    if (!is_listed(part, available)) return fail_as_missing(part, available);
  if (parts.size() == 1) return OpenVinoDevice{parts.front(), parts};
  if (kind == "MULTI")
    return refuse(
        fmt::format("shares frames out, which framemill does itself; write device: [{}]", all));
  return OpenVinoDevice{fmt::format("{}:{}", kind, fmt::join(parts, ",")), parts};
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

Result<OpenVinoDevice> find_openvino_device(std::string_view text,
                                            const std::vector<std::string>& available) {
  std::string device = to_upper(text);
  if (const std::size_t colon = device.find(':'); colon != std::string::npos)
    return find_virtual_device(device.substr(0, colon),
                               split_words(std::string_view(device).substr(colon + 1)), available);
  if (device == "HETERO" || device == "MULTI" || device == "BATCH")
    return find_virtual_device(device, {}, available);
  if (device == "AUTO" || device.empty()) device = pick_openvino_device(available);
  if (!is_listed(device, available)) return fail_as_missing(text, available);
  return OpenVinoDevice{device, {device}};
}

}  // namespace framemill
