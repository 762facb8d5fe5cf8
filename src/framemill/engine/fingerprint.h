#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "framemill/config/run_settings.h"
#include "framemill/infer/backend.h"

namespace framemill {

/// What decides how fast a model runs, as text by the keys of DeviceProfile::environment.
using Fingerprint = std::map<std::string, std::string>;

/// Of the machine: cpu, cores (usable), memory_mb, kernel; governor and driver (NVIDIA's) where
/// there are any. `root`: in place of "/", for tests.
[[nodiscard]] Fingerprint read_machine_fingerprint(const std::filesystem::path& root = "/");

/// Of a model as it was loaded: runtime, backend and arithmetic (device_profile.h); of one on a
/// card also driver, cuda (newest that the driver serves), cudart, cudnn, tensorrt, as far as they
/// are loaded by now.
[[nodiscard]] Fingerprint read_model_fingerprint(const ModelSettings& settings,
                                                 const ModelFacts& facts);

/// What differs, "cores: 16 there, 2 here" each, of the keys that say how fast a model runs and
/// that both know; the kernel alone changes little and is left out. Pure.
[[nodiscard]] std::vector<std::string> fingerprint_differences(const Fingerprint& there,
                                                               const Fingerprint& here);

}  // namespace framemill
