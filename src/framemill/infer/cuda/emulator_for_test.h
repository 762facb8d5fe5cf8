#pragma once

#include <stdexcept>
#include <string>

#include <dlfcn.h>

#include "framemill/infer/cuda/cuda_letterbox.h"

namespace framemill {

/// The emulated driver and compiler of tests/cuda_emulator, in place of NVIDIA's.
class CudaEmulatorForTest {
 public:
  CudaEmulatorForTest() : library_(dlopen(driver().c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (library_ == nullptr) throw std::runtime_error(dlerror());
  }
  ~CudaEmulatorForTest() {
    fail("", 0, 0);
    be_wrong(false);
  }
  CudaEmulatorForTest(const CudaEmulatorForTest&) = delete;
  CudaEmulatorForTest& operator=(const CudaEmulatorForTest&) = delete;

  static std::string folder() { return FRAMEMILL_CUDA_EMULATOR; }
  static std::string driver() { return folder() + "/libcuda.so.1"; }
  static CudaLetterboxOptions options() {
    return {.device = 0, .driver = driver(), .nvrtc_libraries = {folder() + "/libnvrtc.so.13"}};
  }

  /// From the (after + 1)th call on, `function` gives `status`.
  void fail(const char* function, int status, long after) {
    find<void(const char*, int, long)>("emulated_cuda_fail")(function, status, after);
  }
  void be_wrong(bool is_wrong) { find<void(int)>("emulated_cuda_be_wrong")(is_wrong ? 1 : 0); }
  /// Allocations and streams not given back.
  long leaks() { return find<long()>("emulated_cuda_leaks")(); }

 private:
  template <typename Function>
  Function* find(const char* name) {
    return reinterpret_cast<Function*>(dlsym(library_, name));
  }
  void* const library_;
};

}  // namespace framemill
