#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/core/picture.h"
#include "framemill/infer/cuda/cuda_buffer.h"
#include "framemill/infer/cuda/cuda_letterbox.h"
#include "framemill/vision/letterbox.h"
#include "framemill/vision/letterbox_upload.h"

namespace framemill {

/// The input of one batch on a device, made there from pictures: their samples are copied from
/// pinned memory and letterboxed by the kernel, on a stream of the batch's own, so that this
/// overlaps with what other batches do.
/// Use: set_picture() or put() for some items, start(), wait(); then again. Items that were not set
/// keep what they have, at first 0.
/// Thread-safety: one thread at a time; set_picture() of different items may run in parallel.
class CudaBatch {
 public:
  struct Shape {
    std::size_t batch = 1;
    Size size;
    bool is_channels_last = false;
    bool is_half = false;  ///< float16; else float32
  };
  enum class Memory {
    kDevice,
    kHostMapped,  ///< of the host, and the device writes into it: for models that run on the CPU
  };

  /// Errors: kResourceExhausted, kUnavailable, kInternal; likewise for all members.
  static Result<std::unique_ptr<CudaBatch>> create(std::shared_ptr<const CudaLetterbox> letterbox,
                                                   const Shape& shape, Memory memory);
  ~CudaBatch();

  /// The tensor, of tensor_bytes(); at the same place for ever.
  [[nodiscard]] void* tensor() const { return tensor_.device_pointer(); }
  [[nodiscard]] std::size_t tensor_bytes() const { return item_bytes() * shape_.batch; }
  [[nodiscard]] std::size_t item_bytes() const;

  /// Copies the samples of `picture`, which is not needed any more then. `plan`: as for
  /// write_letterbox().
  Result<void> set_picture(std::size_t item, const Picture& picture, const Letterbox& plan,
                           const InputStyle& style);
  /// Begins to copy an item as the tensor holds it; `values` of item_bytes() stay until wait().
  Result<void> put(std::size_t item, const void* values);
  /// Begins to copy and letterbox what was set since the last call.
  Result<void> start();
  /// Until the tensor holds what was started.
  Result<void> wait();

  /// Copies from the device into pinned memory, and waits for it; valid until the next call.
  Result<std::span<const std::uint8_t>> fetch(const void* from, std::size_t bytes);
  /// Fills memory of the device with 0xFF, which is no number in any float, and waits for it.
  Result<void> poison(void* memory, std::size_t bytes);

 private:
  struct Item;
  CudaBatch(std::shared_ptr<const CudaLetterbox> letterbox, const Shape& shape, Memory memory);
  Result<void> allocate();
  Result<void> copy_and_launch();
  [[nodiscard]] LetterboxTensor tensor_layout() const;

  const std::shared_ptr<const CudaLetterbox> letterbox_;
  const CudaDriver& driver_;  // the letterbox's
  const Shape shape_;
  CudaDriver::Stream stream_ = nullptr;
  CudaBuffer tensor_, item_table_, item_table_on_device_, fetched_;
  std::vector<std::unique_ptr<Item>> items_;
};

}  // namespace framemill
