#pragma once

#include <cstdint>

#include "framemill/base/result.h"

namespace framemill {

/// What decodes a stream.
enum class DecodeOn : std::uint8_t {
  kCpu,
  /// NVIDIA's decoder where there is one that takes the stream, and where no motion vectors are
  /// wanted, which only the processor's decoder tells; else the processor.
  kAuto,
};

/// Whether NVIDIA's decoder can be opened here, with FFmpeg as it is. Any thread; 100 ms the first
/// time. Errors: kUnsupported with what is missing.
[[nodiscard]] Result<void> check_hardware_decoder();

}  // namespace framemill
