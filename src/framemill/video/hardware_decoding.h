#pragma once

#include "framemill/base/result.h"
#include "framemill/video/av_handles.h"

namespace framemill {

/// Lets `context`, not yet opened, decode on NVIDIA's decoder (NVDEC, CUDA's first device) what
/// that can: streams that it refuses are decoded by the processor, in the same context. Frames are
/// surfaces of the device then; PictureMaker brings those that are asked for to the host as NV12.
/// Errors: kUnsupported where driver, device or this FFmpeg lacks it; the context is as it was.
/// Not proven on a device yet: see docs/gpu.md.
[[nodiscard]] Result<void> use_hardware_decoder(AVCodecContext& context);

/// A surface of a device in the host's memory, with all that is told of it; null where that fails.
[[nodiscard]] AvFramePtr bring_to_host(const AVFrame& surface);

}  // namespace framemill
