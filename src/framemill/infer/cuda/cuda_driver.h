#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "framemill/base/result.h"

namespace framemill {

/// The functions of NVIDIA's driver that are used, by their documented binary interface (CUDA
/// Driver API reference): the library is loaded while the program runs, and neither it nor a header
/// of it is needed to build. Constant after loading; any thread. All return a status, 0: success.
struct CudaDriver {
  using Status = int;
  using Device = int;
  using Address = std::uint64_t;  ///< of the device's memory
  using Context = void*;
  using Module = void*;
  using Function = void*;
  using Stream = void*;

  Status (*init)(unsigned flags);
  Status (*device_get)(Device*, int ordinal);
  Status (*device_get_attribute)(int*, int attribute, Device);
  Status (*primary_context_retain)(Context*, Device);
  Status (*primary_context_flags)(Device, unsigned flags);
  Status (*context_push)(Context);
  Status (*context_pop)(Context*);
  Status (*module_load)(Module*, const void* image);
  Status (*module_get_function)(Function*, Module, const char* name);
  Status (*memory_alloc)(Address*, std::size_t bytes);
  Status (*memory_free)(Address);
  Status (*host_alloc)(void**, std::size_t bytes, unsigned flags);
  Status (*host_free)(void*);
  /// Between host and device, whichever way the addresses say.
  Status (*copy)(Address to, Address from, std::size_t bytes, Stream);
  Status (*fill_bytes)(Address, unsigned char value, std::size_t bytes, Stream);
  Status (*stream_create)(Stream*, unsigned flags);
  Status (*stream_destroy)(Stream);
  Status (*stream_wait)(Stream);
  Status (*launch)(Function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream,
                   void** parameters, void** extra);
  Status (*error_text)(Status, const char**);

  /// `library`: "libcuda.so.1", or another one in tests; never unloaded, since it has threads.
  /// Errors: kUnsupported, with what is missing.
  static Result<CudaDriver> load(const std::string& library);

  /// The status as an error: kResourceExhausted out of memory, kUnavailable where the device is
  /// gone or its context broken, else kInternal.
  [[nodiscard]] Result<void> check(Status status, const char* what) const;
};

/// Whether a status says that the device is gone, or its context broken for good.
[[nodiscard]] bool is_cuda_device_lost(CudaDriver::Status status);

/// Makes a context the calling thread's current one, and the one before it again at the end.
class CudaContextScope {
 public:
  CudaContextScope(const CudaDriver& driver, CudaDriver::Context context)
      : driver_(driver), is_pushed_(driver.context_push(context) == 0) {}
  ~CudaContextScope() {
    CudaDriver::Context ignored = nullptr;
    if (is_pushed_) driver_.context_pop(&ignored);
  }
  CudaContextScope(const CudaContextScope&) = delete;
  CudaContextScope& operator=(const CudaContextScope&) = delete;

 private:
  const CudaDriver& driver_;
  const bool is_pushed_;  // else the calls that follow fail, and say why
};

}  // namespace framemill
