// The functions of NVRTC that are used, by its documented binary interface.

#include "framemill/infer/cuda/nvrtc.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <dlfcn.h>
#include <fmt/format.h>

namespace framemill {
namespace {

namespace fs = std::filesystem;

using Program = void*;

struct Nvrtc {
  int (*create)(Program*, const char* source, const char* name, int header_count,
                const char* const* headers, const char* const* header_names);
  int (*destroy)(Program*);
  int (*compile)(Program, int option_count, const char* const* options);
  int (*log_size)(Program, std::size_t*);
  int (*log)(Program, char*);
  int (*cubin_size)(Program, std::size_t*);
  int (*cubin)(Program, char*);
  std::string path;
};

/// The compiler asks the linker for its own library of functions, which looks beside it only where
/// nothing stands between the two (the thread sanitizer does); one that is loaded is found anyway.
void load_builtins_beside(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  if (folder.empty()) return;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().filename().string().starts_with("libnvrtc-builtins.so"))
      dlopen(entry.path().c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed
}

Result<Nvrtc> load(const std::vector<std::string>& libraries) {
  std::string why = "no file of that name is there";
  for (const std::string& path : libraries) {
    load_builtins_beside(path);
    void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed
    if (handle == nullptr) {
      if (const char* const said = dlerror(); said != nullptr) why = said;
      continue;
    }
    Nvrtc n{};
    n.path = path;
    const auto find = [handle](const char* name, auto& function) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
      return function != nullptr;
    };
    if (find("nvrtcCreateProgram", n.create) && find("nvrtcDestroyProgram", n.destroy) &&
        find("nvrtcCompileProgram", n.compile) && find("nvrtcGetProgramLogSize", n.log_size) &&
        find("nvrtcGetProgramLog", n.log) && find("nvrtcGetCUBINSize", n.cubin_size) &&
        find("nvrtcGetCUBIN", n.cubin))
      return n;
    why = path + " lacks a function of NVRTC 11.2 or newer";
  }
  return fail(ErrorCode::kUnsupported,
              fmt::format("NVIDIA's run-time compiler libnvrtc does not load ({}); "
                          "`scripts/setup.sh gpu` brings it",
                          why));
}

std::string log_of(const Nvrtc& nvrtc, Program program) {
  std::size_t bytes = 0;
  if (nvrtc.log_size(program, &bytes) != 0 || bytes <= 1) return "no log";
  std::string log(bytes, '\0');
  if (nvrtc.log(program, log.data()) != 0) return "no log";
  log.resize(bytes - 1);
  return log;
}

Result<std::vector<char>> compile(const Nvrtc& nvrtc, Program program, const CudaSource& source,
                                  int compute_capability) {
  const std::string arch = fmt::format("--gpu-architecture=sm_{}", compute_capability);
  const char* const options[] = {arch.c_str(), "--std=c++17"};
  constexpr int kInvalidOption = 5;
  const int status = nvrtc.compile(program, 2, options);
  if (status == kInvalidOption)
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} does not know devices of sm_{}", nvrtc.path, compute_capability));
  if (status != 0)
    return fail(ErrorCode::kInternal,
                fmt::format("{}: {} does not compile for sm_{} (NVRTC error {}): {}", nvrtc.path,
                            source.name, compute_capability, status, log_of(nvrtc, program)));
  std::size_t bytes = 0;
  std::vector<char> code;
  if (nvrtc.cubin_size(program, &bytes) == 0) code.resize(bytes);
  if (code.empty() || nvrtc.cubin(program, code.data()) != 0)
    return fail(ErrorCode::kInternal,
                fmt::format("{}: no machine code for sm_{}", nvrtc.path, compute_capability));
  return code;
}

}  // namespace

std::vector<std::string> nvrtc_libraries(const std::vector<std::string>& folders) {
  std::vector<std::string> found;
  for (const std::string& folder : folders) {
    std::vector<std::string> here;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored))
      if (entry.path().filename().string().starts_with("libnvrtc.so"))
        here.push_back(entry.path().string());
    std::ranges::sort(here, std::greater<>());
    found.insert(found.end(), here.begin(), here.end());
  }
  found.insert(found.end(), {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"});
  return found;
}

Result<std::vector<char>> compile_cuda(const CudaSource& source, int compute_capability,
                                       const std::vector<std::string>& libraries) {
  const Result<Nvrtc> nvrtc = load(libraries);
  if (!nvrtc) return fail(nvrtc.error());
  std::vector<const char*> texts, names;
  for (const CudaSource::Header& header : source.headers) {
    texts.push_back(header.text);
    names.push_back(header.name.c_str());
  }
  Program program = nullptr;
  if (const int status = nvrtc->create(&program, source.text, source.name.c_str(),
                                       static_cast<int>(texts.size()), texts.data(), names.data());
      status != 0)
    return fail(ErrorCode::kInternal, fmt::format("{}: NVRTC error {}", nvrtc->path, status));
  Result<std::vector<char>> code = compile(*nvrtc, program, source, compute_capability);
  nvrtc->destroy(&program);
  return code;
}

}  // namespace framemill
