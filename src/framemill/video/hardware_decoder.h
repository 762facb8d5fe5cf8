#pragma once

#include <memory>

#include "framemill/base/result.h"

struct AVBufferRef;
struct AVCodecContext;

namespace framemill {

/// NVIDIA's decoder (NVDEC) of one device, for any number of streams: one context of the device
/// serves them all. Streams that it refuses are decoded by the processor, without a word.
/// Thread-safety: all members, any thread.
class HardwareDecoder {
 public:
  /// `card`: as CUDA counts them. 100 ms and more. Errors: kUnsupported, with what is missing.
  static Result<std::shared_ptr<const HardwareDecoder>> open(int card = 0);
  ~HardwareDecoder();
  HardwareDecoder(const HardwareDecoder&) = delete;
  HardwareDecoder& operator=(const HardwareDecoder&) = delete;

  /// Lets `context`, not yet opened, decode here; its frames may then be surfaces of the device,
  /// which PictureMaker brings to the host as NV12 where they are asked for. False where the codec
  /// is none that the device may know; the context is as it was. On the thread that will decode.
  bool attach(AVCodecContext& context) const;

 private:
  explicit HardwareDecoder(AVBufferRef* device) : device_(device) {}
  AVBufferRef* const device_;
};

}  // namespace framemill
