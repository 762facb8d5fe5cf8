#include "framemill/infer/cuda/cuda_letterbox.h"

#include <utility>

#include <fmt/format.h>

#include "framemill/infer/cuda/letterbox_kernel_text.h"
#include "framemill/infer/cuda/letterbox_self_check.h"
#include "framemill/infer/cuda/nvrtc.h"

namespace framemill {
namespace {

// CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
constexpr int kMajor = 75, kMinor = 76;
// CU_CTX_SCHED_BLOCKING_SYNC. Threads that spin instead take a core for each batch in flight from
// the decoders, and gain 3 % (docs/gpu.md).
constexpr unsigned kWaitAsleep = 4;
// CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, of some drivers: the context is in use, and waits as whoever
// made it said. Another model of this program has said the same; a library's choice costs speed
// alone.
constexpr int kIsActive = 708;
constexpr unsigned kBlockWidth = 32, kBlockHeight = 8;

unsigned blocks(int pixels, unsigned block) {
  return (static_cast<unsigned>(pixels) + block - 1) / block;
}

}  // namespace

Result<std::shared_ptr<const CudaLetterbox>> CudaLetterbox::open(
    const CudaLetterboxOptions& options, CaptureGate& gate) {
  const Result<CudaDriver> driver = CudaDriver::load(options.driver);
  if (!driver) return fail(driver.error());
  std::shared_ptr<CudaLetterbox> letterbox(new CudaLetterbox(*driver, gate));
  if (const Result<void> loaded = letterbox->load(options); !loaded) return fail(loaded.error());
  if (const Result<void> right = check_letterbox(letterbox); !right) return fail(right.error());
  return std::shared_ptr<const CudaLetterbox>(std::move(letterbox));
}

Result<void> CudaLetterbox::load(const CudaLetterboxOptions& options) {
  CudaDriver::Device device = 0;
  int major = 0;
  int minor = 0;
  if (driver_.device_get(&device, options.device) != 0 ||
      driver_.device_get_attribute(&major, kMajor, device) != 0 ||
      driver_.device_get_attribute(&minor, kMinor, device) != 0)
    return fail(ErrorCode::kUnsupported,
                fmt::format("the driver knows no CUDA device {}", options.device));
  const CudaSource source{
      .name = "letterbox_kernel.cu",
      .text = kLetterboxKernelText,
      .headers = {{.name = "framemill/vision/letterbox_pixel.h", .text = kLetterboxPixelText}}};
  const Result<std::vector<char>> code =
      compile_cuda(source, 10 * major + minor, options.nvrtc_libraries);
  if (!code) return fail(code.error());

  const CaptureGate::Use use(gate_);
  const CudaDriver::Status flags = driver_.primary_context_flags(device, kWaitAsleep);
  if (const Result<void> set = driver_.check(flags == kIsActive ? 0 : flags, "how threads wait");
      !set)
    return set;
  if (const Result<void> made =
          driver_.check(driver_.primary_context_retain(&context_, device), "the device's context");
      !made)
    return made;
  const CudaContextScope scope(driver_, context_);
  CudaDriver::Module module = nullptr;
  if (const Result<void> made =
          driver_.check(driver_.module_load(&module, code->data()), "loading the letterbox kernel");
      !made)
    return made;
  return driver_.check(driver_.module_get_function(&kernel_, module, "framemill_letterbox"),
                       "finding the letterbox kernel");
}

Result<void> CudaLetterbox::launch(const LetterboxItem* items, const LetterboxTensor& tensor,
                                   std::size_t batch, CudaDriver::Stream stream) const {
  LetterboxTensor tensor_copy = tensor;
  void* parameters[] = {&items, &tensor_copy};
  return driver_.check(
      driver_.launch(kernel_, blocks(tensor.width, kBlockWidth),
                     blocks(tensor.height, kBlockHeight), static_cast<unsigned>(batch), kBlockWidth,
                     kBlockHeight, 1, 0, stream, parameters, nullptr),
      "launching the letterbox kernel");
}

}  // namespace framemill
