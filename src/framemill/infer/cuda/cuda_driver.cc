#include "framemill/infer/cuda/cuda_driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace framemill {
namespace {

// Of CUresult, as the driver's reference numbers them.
constexpr int kOutOfMemory = 2, kNoDevice = 100;

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace

bool is_cuda_device_lost(CudaDriver::Status status) {
  switch (status) {
    case 4:    // deinitialised
    case 46:   // device unavailable
    case 100:  // no device
    case 201:  // invalid context
    case 214:  // ECC uncorrectable
    case 220:  // NVLink uncorrectable
    case 700:  // illegal address
    case 702:  // launch timeout
    case 709:  // context is destroyed
    case 710:  // assert
    case 714:  // hardware stack error
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // invalid address space
    case 718:  // invalid pc
    case 719:  // launch failed
    case 999:  // unknown
      return true;
    default:
      return false;
  }
}

Result<CudaDriver> CudaDriver::load(const std::string& library) {
  void* const handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const why = dlerror();
    return fail(ErrorCode::kUnsupported,
                fmt::format("NVIDIA's driver is not there ({})", why != nullptr ? why : library));
  }
  CudaDriver d{};
  const char* missing = nullptr;
  const auto need = [&](const char* name, auto& function) {
    if (!find(handle, name, function)) missing = name;
  };
  need("cuInit", d.init);
  need("cuDeviceGet", d.device_get);
  need("cuDeviceGetAttribute", d.device_get_attribute);
  need("cuDevicePrimaryCtxRetain", d.primary_context_retain);
  need("cuDevicePrimaryCtxSetFlags_v2", d.primary_context_flags);
  need("cuCtxPushCurrent_v2", d.context_push);
  need("cuCtxPopCurrent_v2", d.context_pop);
  need("cuModuleLoadData", d.module_load);
  need("cuModuleGetFunction", d.module_get_function);
  need("cuMemAlloc_v2", d.memory_alloc);
  need("cuMemFree_v2", d.memory_free);
  need("cuMemHostAlloc", d.host_alloc);
  need("cuMemFreeHost", d.host_free);
  need("cuMemcpyAsync", d.copy);
  need("cuMemsetD8Async", d.fill_bytes);
  need("cuStreamCreate", d.stream_create);
  need("cuStreamDestroy_v2", d.stream_destroy);
  need("cuStreamSynchronize", d.stream_wait);
  need("cuLaunchKernel", d.launch);
  need("cuGetErrorString", d.error_text);
  if (missing != nullptr)
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("{} is not NVIDIA's driver, or too old: it lacks {}", library, missing));
  if (const Status status = d.init(0); status != 0)
    return fail(ErrorCode::kUnsupported,
                status == kNoDevice
                    ? std::string("the driver finds no CUDA device")
                    : fmt::format("the driver does not start (CUDA error {})", status));
  return d;
}

Result<void> CudaDriver::check(Status status, const char* what) const {
  if (status == 0) return {};
  const char* text = nullptr;
  if (error_text(status, &text) != 0 || text == nullptr) text = "unknown error";
  const ErrorCode code = status == kOutOfMemory        ? ErrorCode::kResourceExhausted
                         : is_cuda_device_lost(status) ? ErrorCode::kUnavailable
                                                       : ErrorCode::kInternal;
  return fail(code, fmt::format("{}: {} (CUDA error {})", what, text, status));
}

}  // namespace framemill
