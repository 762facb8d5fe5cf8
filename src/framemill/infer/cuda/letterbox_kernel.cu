// The letterbox of a batch, a thread for each pixel of each picture. NVRTC compiles this text while
// the program runs (letterbox_kernel_text.h), and the emulated driver of the tests compiles it as it
// is. Block (32, 8): a warp writes 32 neighbours of a row, so that its writes join.
#include "framemill/vision/letterbox_pixel.h"

extern "C" __global__ void framemill_letterbox(const framemill::LetterboxItem* items,
                                               framemill::LetterboxTensor tensor) {
  const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
  const int index = static_cast<int>(blockIdx.z);
  if (x >= tensor.width || y >= tensor.height) return;
  framemill::write_letterbox_pixel(items[index], tensor, index, x, y);
}
