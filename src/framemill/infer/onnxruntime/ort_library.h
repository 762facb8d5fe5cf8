#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/base/result.h"
#include "framemill/infer/cuda/capture_gate.h"
#include "framemill/infer/device_name.h"
#include "framemill/infer/onnxruntime/ort_api.h"

namespace framemill {

/// The folder to take ONNX Runtime from, if the environment names one; then no other is looked at.
inline constexpr const char* kOnnxRuntimeVariable = "FRAMEMILL_ONNXRUNTIME";

/// Where the library may lie, best first: `from_user` alone if it is not empty, else beside the
/// program (lib/framemill of an installed one), else where scripts/setup.sh put it; in each the
/// build for GPUs before the one for CPUs. `from_user` may be a folder with the libraries or a
/// wheel's or a venv's site-packages. Pure.
[[nodiscard]] std::vector<std::string> onnxruntime_folders(const std::string& from_user,
                                                           const std::string& program_folder,
                                                           const std::string& deps_folder);

/// The newest libonnxruntime.so* in the first of `folders` that has one. Errors: kNotFound, with
/// the places and the remedy.
[[nodiscard]] Result<std::string> find_onnxruntime(std::span<const std::string> folders);

/// ONNX Runtime as it was loaded: one for the whole process, never unloaded, since its threads and
/// devices outlive any handle. Thread-safety: all members, any thread.
struct OnnxRuntimeLibrary {
  std::string folder;   ///< the providers' libraries lie there, too
  std::string version;  ///< "1.31.1"
  Ort::Env env{nullptr};
  /// That of a device, as CUDA counts them; for ever the same.
  [[nodiscard]] CaptureGate& capture_gate(int device) EXCLUDES(mu);
  Mutex mu;
  std::map<int, CaptureGate> capture_gates GUARDED_BY(mu);
  /// A plug-in provider's library is told to the runtime once.
  bool is_rtx_registered GUARDED_BY(mu) = false;
  [[nodiscard]] std::string name() const { return "ONNX Runtime " + version; }
};

/// Loads the library on the first call. Errors (the same at every call): those of
/// find_onnxruntime(); kFailedPrecondition for a library that is too old or does not load.
[[nodiscard]] Result<OnnxRuntimeLibrary*> load_onnxruntime();

/// Makes a graphics device's provider loadable: its library is there, its driver, the device
/// itself, and the libraries of CUDA that lie beside. Errors: kUnsupported, naming what is missing
/// and the remedy.
[[nodiscard]] Result<void> prepare_provider(const OnnxRuntimeLibrary& library,
                                            const OnnxDevice& device);

/// Where CUDA's libraries lie beside ONNX Runtime in `folder`: there, or in the folders of a venv.
[[nodiscard]] std::vector<std::string> cuda_library_folders(const std::string& folder);

/// What builds the provider's engines, TensorRT or that for RTX, and its version as the library
/// gives it: "libnvinfer.so.10 101303"; empty for others, or where it is not found. Loads it, as
/// the provider is about to.
[[nodiscard]] std::string engine_compiler(OnnxProvider provider);

/// The library file of a device's provider; empty for the CPU.
[[nodiscard]] std::string provider_library(OnnxProvider provider);

}  // namespace framemill
