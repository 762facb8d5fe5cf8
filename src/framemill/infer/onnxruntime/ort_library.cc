#include "framemill/infer/onnxruntime/ort_library.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framemill/base/shared_library.h"
#include "framemill/infer/onnxruntime/cuda_facts.h"
#include "framemill/infer/onnxruntime/ort_error.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;

/// Libraries of CUDA's that providers name, in the order in which they need each other. They lie in
/// no folder that the linker knows, so they are loaded by path before a provider asks for them.
constexpr std::array<std::string_view, 10> kCudaLibraries{
    "libcudart.so", "libnvJitLink.so", "libnvrtc.so", "libcublasLt.so",     "libcublas.so",
    "libcufft.so",  "libcurand.so",    "libcudnn.so", "libtensorrt_rtx.so", "libnvinfer.so"};

std::vector<std::string> files_that_start(const fs::path& folder, std::string_view start) {
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().filename().string().starts_with(start)) files.push_back(entry.path().string());
  std::ranges::sort(files);
  return files;
}

std::string program_folder() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored).parent_path().string();
}

Result<OnnxRuntimeLibrary*> load() {
  const char* const from_user = std::getenv(kOnnxRuntimeVariable);
  const std::vector<std::string> folders = onnxruntime_folders(
      from_user != nullptr ? from_user : "", program_folder(), FRAMEMILL_DEPS_DIR);
  const Result<std::string> path = find_onnxruntime(folders);
  if (!path) return fail(path.error());
  const Result<void*> library = load_shared_library(*path);
  if (!library) return fail(library.error());
  const auto base =
      reinterpret_cast<const OrtApiBase* (*)()>(find_symbol(*library, "OrtGetApiBase"));
  if (base == nullptr)
    return fail(ErrorCode::kFailedPrecondition, fmt::format("{}: is not ONNX Runtime", *path));
  const OrtApi* const api = base()->GetApi(ORT_API_VERSION);
  if (api == nullptr)
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: is version {}, older than the 1.{} that framemill was built for; "
                            "put a newer one there",
                            *path, base()->GetVersionString(), ORT_API_VERSION));
  Ort::InitApi(api);
  // One for the whole process, on purpose never freed: see OnnxRuntimeLibrary.
  auto* const loaded = new OnnxRuntimeLibrary;
  loaded->folder = fs::path(*path).parent_path().string();
  loaded->version = base()->GetVersionString();
  try {
    // Every error comes back as a status; the runtime's own lines on standard error would double
    // it.
    loaded->env = Ort::Env(ORT_LOGGING_LEVEL_FATAL, "framemill");
    loaded->env.DisableTelemetryEvents();
  } catch (...) {
    return fail_from_ort_exception(ErrorCode::kFailedPrecondition,
                                   fmt::format("{}: does not start", *path));
  }
  return loaded;
}

void load_cuda_libraries(const std::string& folder) {
  const std::vector<std::string> folders = cuda_library_folders(folder);
  for (const std::string_view name : kCudaLibraries)
    for (const std::string& place : folders)
      for (const std::string& file : files_that_start(place, name))
        // What does not load is found elsewhere, or named by the provider's own error.
        dlopen(file.c_str(), RTLD_LAZY | RTLD_GLOBAL);
}

}  // namespace

CaptureGate& OnnxRuntimeLibrary::capture_gate(int device) {
  void* const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);  // never closed: has threads
  void* const exchange =
      driver != nullptr ? dlsym(driver, "cuThreadExchangeStreamCaptureMode") : nullptr;
  const MutexLock lock(mu);
  return capture_gates.try_emplace(device, reinterpret_cast<CaptureGate::ExchangeMode>(exchange))
      .first->second;
}

std::vector<std::string> cuda_library_folders(const std::string& folder) {
  std::vector<std::string> folders{folder};
  // A venv has them in nvidia/*/lib beside onnxruntime/capi.
  std::error_code ignored;
  for (const auto& entry :
       fs::directory_iterator(fs::path(folder).parent_path().parent_path() / "nvidia", ignored))
    folders.push_back((entry.path() / "lib").string());
  return folders;
}

std::string engine_compiler(OnnxProvider provider) {
  std::vector<const char*> names;
  if (provider == OnnxProvider::kTensorRt) names = {"libnvinfer.so.11", "libnvinfer.so.10"};
  if (provider == OnnxProvider::kTensorRtRtx) names = {"libtensorrt_rtx.so.1"};
  for (const char* const name : names) {
    void* const library =
        dlopen(name, RTLD_LAZY | RTLD_LOCAL);  // never closed: the provider has it
    if (library == nullptr) continue;
    const auto get = reinterpret_cast<int (*)()>(dlsym(library, "getInferLibVersion"));
    if (get != nullptr) return fmt::format("{} {}", name, get());
  }
  return {};
}

std::string provider_library(OnnxProvider provider) {
  switch (provider) {
    case OnnxProvider::kCuda:
      return "libonnxruntime_providers_cuda.so";
    case OnnxProvider::kTensorRt:
      return "libonnxruntime_providers_tensorrt.so";
    case OnnxProvider::kTensorRtRtx:
      return "libonnxruntime_providers_nv_tensorrt_rtx.so";
    case OnnxProvider::kCpu:
      break;
  }
  return {};
}

std::vector<std::string> onnxruntime_folders(const std::string& from_user,
                                             const std::string& program_folder,
                                             const std::string& deps_folder) {
  if (!from_user.empty())
    return {from_user, from_user + "/lib", from_user + "/capi", from_user + "/onnxruntime/capi"};
  std::vector<std::string> folders;
  if (!program_folder.empty())
    folders = {program_folder + "/../lib/framemill/onnxruntime-gpu",
               program_folder + "/../lib/framemill"};
  if (!deps_folder.empty())
    folders.insert(folders.end(),
                   {deps_folder + "/onnxruntime-gpu", deps_folder + "/onnxruntime/lib"});
  return folders;
}

Result<std::string> find_onnxruntime(std::span<const std::string> folders) {
  for (const std::string& folder : folders) {
    const std::vector<std::string> files = files_that_start(folder, "libonnxruntime.so");
    if (!files.empty()) return files.back();
  }
  return fail(ErrorCode::kNotFound,
              fmt::format("ONNX Runtime's library libonnxruntime.so is in none of {}; run "
                          "scripts/setup.sh, or set {} to the folder of an unpacked wheel",
                          fmt::join(folders, ", "), kOnnxRuntimeVariable));
}

Result<OnnxRuntimeLibrary*> load_onnxruntime() {
  static const Result<OnnxRuntimeLibrary*> loaded = load();
  return loaded;
}

Result<void> prepare_provider(const OnnxRuntimeLibrary& library, const OnnxDevice& device) {
  if (device.provider == OnnxProvider::kCpu) return {};
  const std::string file = provider_library(device.provider);
  std::error_code ignored;
  if (!fs::exists(fs::path(library.folder) / file, ignored))
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} is not there: {} lacks {}; run `scripts/setup.sh gpu`, or set {} "
                            "to the folder of an unpacked onnxruntime-gpu wheel",
                            to_string(device), library.folder, file, kOnnxRuntimeVariable));
  const Result<CudaFacts> cuda = read_cuda_facts();
  if (!cuda) return fail(cuda.error().at(to_string(device)));
  if (static_cast<std::size_t>(device.index) >= cuda->devices.size()) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < cuda->devices.size(); ++i)
      names.push_back(fmt::format("{}: {}", i, cuda->devices[i].name));
    return fail(ErrorCode::kUnsupported, fmt::format("{} is not there; CUDA finds {}",
                                                     to_string(device), fmt::join(names, ", ")));
  }
  load_cuda_libraries(library.folder);
  return {};
}

}  // namespace framemill
