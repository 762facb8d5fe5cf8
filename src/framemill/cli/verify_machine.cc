#include "framemill/cli/verify_machine.h"

#include <array>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framemill/engine/detector_options.h"
#include "framemill/infer/detector.h"
#include "framemill/infer/model_files.h"

namespace framemill {
namespace {

/// Of the fingerprint, what moves service times.
constexpr std::array kComparedKeys{"cpu", "cores", "kernel", "driver", "runtime"};

/// "" where a profile does not say.
std::string value_of(const std::map<std::string, std::string>& environment,
                     const std::string& key) {
  const auto found = environment.find(key);
  return found == environment.end() ? std::string() : found->second;
}

Error other_machine(const DeviceProfile& profile, const std::string& there,
                    const std::string& here) {
  return Error(ErrorCode::kInvalidArgument,
               fmt::format("the profile of {} was measured on {}, and this is {}: what it predicts "
                           "is not of this machine; measure it here: framemill bench {}",
                           profile.model, there, here, profile.model));
}

}  // namespace

void set_as_profiled(const DeviceProfile& profile, ModelSettings& model) {
  const std::string backend = value_of(profile.environment, "backend");
  const std::string runtime = value_of(profile.environment, "runtime");
  if (!backend.empty()) {
    model.runtime = backend;
  } else if (runtime.starts_with("OpenVINO")) {
    model.runtime = "openvino";
  } else if (runtime.starts_with("ONNX Runtime")) {
    model.runtime = "onnxruntime";
  }
  if (!profile.device.empty() && model.runtime != "auto") model.device = profile.device;
  const std::string arithmetic = value_of(profile.environment, "arithmetic");
  if (!arithmetic.empty()) model.precision = arithmetic;
}

Result<void> check_model(const ModelSettings& model, const DeviceProfile& profile) {
  const Result<std::string> hash = hash_model(model.path);
  if (!hash) return fail(hash.error());
  if (profile.model_sha256 == *hash) return {};
  std::vector<std::string> files = model_files(model.path);
  files.erase(files.begin());
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format(
          "{}: is not the file that the profile of {} was measured with{}; measure "
          "it again: framemill bench {}",
          model.path, profile.model,
          files.empty() ? "" : fmt::format(", or its weights are not ({})", fmt::join(files, ", ")),
          model.path));
}

Result<DeviceHere> find_device(const ModelSettings& model) {
  const Result<DetectorOptions> options = detector_options(model, EngineSettings{});
  if (!options) return fail(options.error());
  const Result<std::unique_ptr<Detector>> detector = Detector::load(*options);
  if (!detector) return fail(detector.error());
  const ModelFacts& facts = (*detector)->facts();
  DeviceHere here{.device_name = facts.device_name, .environment = read_machine_fingerprint()};
  here.environment.merge(read_model_fingerprint(model, facts));
  return here;
}

Result<std::vector<std::string>> compare_machine(const DeviceProfile& profile,
                                                 const DeviceHere& here) {
  if (profile.device_name != here.device_name) {
    return fail(other_machine(profile, profile.device_name, here.device_name));
  }
  std::vector<std::string> differences;
  for (const std::string key : kComparedKeys) {
    const std::string there = value_of(profile.environment, key);
    const std::string now = value_of(here.environment, key);
    if (there.empty() || now.empty() || there == now) continue;
    if (key == "cores" && profile.device == "CPU") {
      return fail(other_machine(profile, there + " cores", "one of " + now));
    }
    differences.push_back(fmt::format("{} {} (here: {})", key, there, now));
  }
  return differences;
}

}  // namespace framemill
