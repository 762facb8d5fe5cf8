#include "framemill/infer/onnxruntime/letterbox_choice.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "framemill/infer/cuda/nvrtc.h"

namespace framemill {

LetterboxChoice choose_letterbox(LetterboxOn wanted, const OnnxDevice& device,
                                 OnnxRuntimeLibrary& library) {
  const bool is_natural =
      device.provider == OnnxProvider::kCuda || device.provider == OnnxProvider::kTensorRt;
  if (wanted == LetterboxOn::kHost || (wanted == LetterboxOn::kAuto && !is_natural)) return {};
  CudaLetterboxOptions options{.device = device.index};
  std::vector<std::string> folders = cuda_library_folders(library.folder);
  if (const char* const from_user = std::getenv(kCudaVariable); from_user != nullptr) {
    folders = {from_user};
    options.driver = std::string(from_user) + "/libcuda.so.1";
  }
  options.nvrtc_libraries = nvrtc_libraries(folders);
  Result<std::shared_ptr<const CudaLetterbox>> opened =
      CudaLetterbox::open(options, library.capture_gate(device.index));
  if (!opened) return {.on_device = nullptr, .where = "host", .note = opened.error().message()};
  return {
      .on_device = *std::move(opened), .where = fmt::format("cuda:{}", device.index), .note = {}};
}

}  // namespace framemill
