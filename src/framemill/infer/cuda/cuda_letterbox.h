#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/infer/cuda/capture_gate.h"
#include "framemill/infer/cuda/cuda_driver.h"
#include "framemill/vision/letterbox_pixel.h"

namespace framemill {

struct CudaLetterboxOptions {
  int device = 0;  ///< as CUDA counts them
  std::string driver = "libcuda.so.1";
  std::vector<std::string> nvrtc_libraries;  ///< see nvrtc_libraries()
};

/// The letterbox kernel, made for a device and loaded onto it; in the device's primary context,
/// which CUDA's runtime and ONNX Runtime use, too. Thread-safety: all members, any thread.
class CudaLetterbox {
 public:
  /// Compiles the kernel (about .2 s), loads it, and holds what it writes against
  /// write_letterbox(): a device that computes something else is refused. `gate` outlives it.
  /// Errors: kUnsupported with what is missing (driver, device, compiler); kInternal;
  /// kResourceExhausted.
  static Result<std::shared_ptr<const CudaLetterbox>> open(const CudaLetterboxOptions& options,
                                                           CaptureGate& gate);

  [[nodiscard]] const CudaDriver& driver() const { return driver_; }
  [[nodiscard]] CudaDriver::Context context() const { return context_; }
  [[nodiscard]] CaptureGate& gate() const { return gate_; }

  /// Launches the kernel for the first `batch` of `items`, which lie on the device. The context is
  /// current.
  [[nodiscard]] Result<void> launch(const LetterboxItem* items, const LetterboxTensor& tensor,
                                    std::size_t batch, CudaDriver::Stream stream) const;

 private:
  CudaLetterbox(const CudaDriver& driver, CaptureGate& gate) : driver_(driver), gate_(gate) {}
  Result<void> load(const CudaLetterboxOptions& options);

  // Constant once loaded. Context and module stay until the process ends: the context is ONNX
  // Runtime's as well.
  const CudaDriver driver_;
  CaptureGate& gate_;
  CudaDriver::Context context_ = nullptr;
  CudaDriver::Function kernel_ = nullptr;
};

}  // namespace framemill
