// Each library tells its version by one function of its documented interface; which of them are
// loaded, and from where, the linker knows.

#include "framemill/metrics/gpu_libraries.h"

#include <cstddef>
#include <filesystem>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

namespace framemill {
namespace {

std::string join_version(std::size_t major, std::size_t minor, std::size_t patch) {
  return fmt::format("{}.{}.{}", major, minor, patch);
}

/// "12.4"
std::string read_cudart(void* function) {
  int version = 0;
  if (reinterpret_cast<int (*)(int*)>(function)(&version) != 0) return {};
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

/// 9.1.0 is 90100; before 9, 8.9.4 was 8904.
std::string read_cudnn(void* function) {
  const std::size_t version = reinterpret_cast<std::size_t (*)()>(function)();
  const std::size_t major = version >= 10'000 ? 10'000 : 1000;
  return join_version(version / major, version % major / 100, version % 100);
}

/// 10.7.0 is 100700; before 10, 8.6.1 was 8601.
std::string read_tensorrt(void* function) {
  const auto version = static_cast<std::size_t>(reinterpret_cast<int (*)()>(function)());
  const std::size_t major = version >= 10'000 ? 10'000 : 1000;
  return join_version(version / major, version % major / 100, version % 100);
}

struct KnownLibrary {
  const char* name;
  const char* file;  ///< what its file's name begins with
  const char* function;
  std::string (*read)(void* function);
};
constexpr KnownLibrary kLibraries[] = {
    {"cudart", "libcudart.so", "cudaRuntimeGetVersion", read_cudart},
    {"cudnn", "libcudnn.so", "cudnnGetVersion", read_cudnn},
    {"tensorrt", "libnvinfer.so", "getInferLibVersion", read_tensorrt},
    {"tensorrt_rtx", "libtensorrt_rtx.so", "getInferLibVersion", read_tensorrt}};

int collect_path(dl_phdr_info* info, std::size_t /*size*/, void* paths) {
  static_cast<std::vector<std::string>*>(paths)->emplace_back(info->dlpi_name);
  return 0;
}

}  // namespace

std::map<std::string, std::string> loaded_gpu_libraries() {
  std::vector<std::string> paths;
  dl_iterate_phdr(collect_path, &paths);  // holds the linker's lock: nothing is opened within
  std::map<std::string, std::string> versions;
  for (const std::string& path : paths) {
    const std::string file = std::filesystem::path(path).filename().string();
    for (const KnownLibrary& known : kLibraries) {
      if (!file.starts_with(known.file)) continue;
      void* const library = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
      if (library == nullptr) continue;
      void* const function = dlsym(library, known.function);
      if (function != nullptr) versions[known.name] = known.read(function);
      dlclose(library);
    }
  }
  std::erase_if(versions, [](const auto& version) { return version.second.empty(); });
  return versions;
}

}  // namespace framemill
