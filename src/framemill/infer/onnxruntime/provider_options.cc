#include "framemill/infer/onnxruntime/provider_options.h"

#include <algorithm>
#include <cctype>
#include <span>

#include <fmt/format.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// The precision's name, where it matters to the engine.
std::string_view name_of(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return "fp32";
    case Precision::kFp16:
      return "fp16";
    case Precision::kBf16:
      return "bf16";
    case Precision::kAuto:
      break;
  }
  return "auto";
}

Failure cannot_compute(const ProviderRequest& request, std::string_view remedy) {
  return fail(ErrorCode::kUnsupported,
              fmt::format("{} cannot compute in {}; {}", to_string(request.device),
                          name_of(request.precision), remedy));
}

Result<ProviderOptions> cuda_options(const ProviderRequest& request) {
  if (request.precision == Precision::kFp16 || request.precision == Precision::kBf16)
    return cannot_compute(request,
                          "it computes as the model's weights are: give an FP16 model, "
                          "or take tensorrt, which makes one");
  ProviderOptions options;
  options.values = {{"device_id", std::to_string(request.device.index)},
                    // Grows by what is asked for: several models share a device.
                    {"arena_extend_strategy", "kSameAsRequested"},
                    {"use_tf32", request.precision == Precision::kFp32 ? "0" : "1"},
                    // Kernels of the tensor cores want the channels last, and take bias and
                    // activation in. Trying all of them gains 1 % and takes three times as long.
                    {"prefer_nhwc", "1"},
                    {"fuse_conv_bias", "1"},
                    {"cudnn_conv_algo_search", "HEURISTIC"},
                    {"enable_cuda_graph", request.may_capture_graphs ? "1" : "0"}};
  options.has_cuda_graphs = request.may_capture_graphs;
  return options;
}

/// "images:4x3x384x640"
std::string shape_of(const ProviderRequest& request) {
  return fmt::format("{}:{}x3x{}x{}", request.input_name, request.batch, request.input.height,
                     request.input.width);
}

void add_profile(const ProviderRequest& request, std::string_view prefix,
                 ProviderOptions& options) {
  if (request.is_shape_fixed) return;
  // A session has one shape only, so least, best and most are the same, and kernels fit it.
  for (const char* const which : {"min", "opt", "max"})
    options.values.emplace_back(fmt::format("{}_profile_{}_shapes", prefix, which),
                                shape_of(request));
}

Result<ProviderOptions> tensorrt_options(const ProviderRequest& request) {
  ProviderOptions options;
  const auto flag = [](bool is_on) { return std::string(is_on ? "1" : "0"); };
  // A graph of halves does not build where halves are not allowed.
  const bool is_half = request.precision == Precision::kFp16 ||
                       (request.precision == Precision::kAuto && request.is_half);
  options.values = {{"device_id", std::to_string(request.device.index)},
                    {"trt_fp16_enable", flag(is_half)},
                    {"trt_bf16_enable", flag(request.precision == Precision::kBf16)},
                    {"trt_int8_enable", flag(request.is_int8)},
                    // It does not tell one request's graph from another's.
                    {"trt_cuda_graph_enable", "0"}};
  add_profile(request, "trt", options);
  if (!request.cache_dir.empty()) {
    options.cache_folder =
        fmt::format("{}/tensorrt/{}", request.cache_dir, engine_cache_key(request));
    options.values.insert(
        options.values.end(),
        {{"trt_engine_cache_enable", "1"},
         {"trt_engine_cache_path", options.cache_folder},
         {"trt_engine_cache_prefix",
          fmt::format("b{}_{}x{}", request.batch, request.input.width, request.input.height)},
         // Timings serve every shape of the model: the second engine builds in a fraction.
         {"trt_timing_cache_enable", "1"},
         {"trt_timing_cache_path", options.cache_folder}});
  }
  return options;
}

Result<ProviderOptions> rtx_options(const ProviderRequest& request) {
  if (request.precision != Precision::kAuto)
    return cannot_compute(request,
                          "TensorRT for RTX takes the precision of the model's weights: give a "
                          "model of that precision, and leave the setting out");
  ProviderOptions options;
  add_profile(request, "nv", options);
  if (!request.cache_dir.empty()) {
    options.cache_folder = fmt::format("{}/rtx/{}", request.cache_dir, engine_cache_key(request));
    options.values.emplace_back("nv_runtime_cache_path", options.cache_folder);
  }
  return options;
}

}  // namespace

std::string ProviderOptions::value(std::string_view key) const {
  const auto found = std::ranges::find(
      values, key, [](const auto& entry) { return std::string_view(entry.first); });
  return found == values.end() ? std::string() : found->second;
}

std::optional<std::size_t> rtx_place(const CudaFacts& cuda, int index, std::size_t offered) {
  const auto wanted = static_cast<std::size_t>(index);
  if (wanted >= cuda.devices.size()) return std::nullopt;
  const auto is_taken = [](const CudaDevice& device) {
    const int capability = device.compute_capability;
    return capability == 86 || capability == 89 || capability >= 120;
  };
  // It offers all that there are, whatever the list says.
  if (offered == cuda.devices.size()) return wanted;
  if (!is_taken(cuda.devices[wanted])) return std::nullopt;
  const auto before = std::span(cuda.devices).first(wanted);
  const auto place = static_cast<std::size_t>(std::ranges::count_if(before, is_taken));
  return place < offered ? std::optional(place) : std::nullopt;
}

std::optional<std::string> damaged_engine(std::string_view message,
                                          const std::string& cache_folder) {
  constexpr std::string_view kSays = "could not deserialize engine from cache: ";
  const std::size_t said = message.find(kSays);
  if (said == std::string_view::npos || cache_folder.empty()) return std::nullopt;
  std::string_view path = message.substr(said + kSays.size());
  path = path.substr(0, path.find('\n'));
  while (path.ends_with(' ')) path.remove_suffix(1);
  const bool is_ours =
      path.starts_with(cache_folder + "/tensorrt/") && path.find("..") == std::string_view::npos;
  return is_ours ? std::optional<std::string>(path) : std::nullopt;
}

std::string engine_cache_key(const ProviderRequest& request) {
  const auto index = static_cast<std::size_t>(request.device.index);
  const CudaDevice device =
      index < request.cuda.devices.size() ? request.cuda.devices[index] : CudaDevice{};
  const std::string driver = request.cuda.driver_release.empty()
                                 ? std::to_string(request.cuda.driver_version)
                                 : request.cuda.driver_release;
  std::string key = fmt::format("{}_{}_sm{}_driver{}_{}_{}_{}", request.model_hash.substr(0, 16),
                                device.name, device.compute_capability, driver, request.runtime,
                                request.compiler, name_of(request.precision));
  std::ranges::transform(key, key.begin(), [](unsigned char c) {
    const bool is_kept = std::isalnum(c) || c == '.' || c == '_';
    return is_kept ? static_cast<char>(std::tolower(c)) : '-';
  });
  return key;
}

Result<ProviderOptions> provider_options(const ProviderRequest& request) {
  switch (request.device.provider) {
    case OnnxProvider::kCuda:
      return cuda_options(request);
    case OnnxProvider::kTensorRt:
      return tensorrt_options(request);
    case OnnxProvider::kTensorRtRtx:
      return rtx_options(request);
    case OnnxProvider::kCpu:
      break;
  }
  CHECK(request.device.provider != OnnxProvider::kCpu);
  return ProviderOptions{};
}

}  // namespace framemill
