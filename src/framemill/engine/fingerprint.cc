#include "framemill/engine/fingerprint.h"

#include <array>
#include <fstream>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "framemill/engine/environment.h"
#include "framemill/engine/machine_meter.h"
#include "framemill/metrics/gpu_libraries.h"
#include "framemill/metrics/gpu_meter.h"
#include "framemill/sched/device_profile.h"

namespace framemill {
namespace {

/// As `runtime` of a model's settings calls it; empty: another one (a fake).
std::string backend_of(const std::string& runtime) {
  if (runtime.starts_with("OpenVINO")) return "openvino";
  return runtime.starts_with("ONNX Runtime") ? "onnxruntime" : "";
}

}  // namespace

Fingerprint read_machine_fingerprint(const std::filesystem::path& root) {
  const Environment machine = read_environment(root);
  Fingerprint fingerprint{{"cpu", machine.cpu_model},
                          {"cores", std::to_string(machine.cpu_count)},
                          {"memory_mb", std::to_string(machine.memory_bytes / 1'000'000)},
                          {"kernel", machine.kernel}};
  if (const auto governor = read_governor(root)) fingerprint["governor"] = *governor;
  std::ifstream driver(root / "proc/driver/nvidia/version");
  if (std::string line; std::getline(driver, line)) fingerprint["driver"] = line;
  return fingerprint;
}

Fingerprint read_model_fingerprint(const ModelSettings& settings, const ModelFacts& facts) {
  Fingerprint fingerprint{{"runtime", facts.runtime}, {kArithmeticKey, settings.precision}};
  if (const std::string backend = backend_of(facts.runtime); !backend.empty())
    fingerprint[kBackendKey] = backend;
  if (!card_of(facts.device).starts_with("cuda:")) return fingerprint;
  const GpuDriver driver = GpuMeter().read_driver();
  // The kernel's own line says more, where the system shows it.
  if (!driver.version.empty() && !read_machine_fingerprint().contains("driver"))
    fingerprint["driver"] = driver.version;
  if (!driver.cuda.empty()) fingerprint["cuda"] = driver.cuda;
  fingerprint.merge(loaded_gpu_libraries());
  return fingerprint;
}

std::vector<std::string> fingerprint_differences(const Fingerprint& there,
                                                 const Fingerprint& here) {
  constexpr std::array<std::string_view, 11> kKeys{
      "cpu",    "cores", "governor", "runtime", kBackendKey, kArithmeticKey,
      "driver", "cuda",  "cudart",   "cudnn",   "tensorrt"};
  std::vector<std::string> differences;
  for (const std::string_view key : kKeys) {
    const auto old = there.find(std::string(key));
    const auto now = here.find(std::string(key));
    if (old == there.end() || now == here.end() || old->second == now->second) continue;
    differences.push_back(fmt::format("{}: {} there, {} here", key, old->second, now->second));
  }
  return differences;
}

}  // namespace framemill
