#include "framemill/video/hardware_decoding.h"

extern "C" {
#include <libavutil/hwcontext.h>
}

#include <fmt/format.h>

#include "framemill/video/decode_choice.h"
#include "framemill/video/ffmpeg_error.h"

namespace framemill {
namespace {

// AV_CUDA_USE_PRIMARY_CONTEXT of hwcontext_cuda.h, which needs CUDA's own header.
constexpr int kPrimaryContext = 1;
// Surfaces beyond what the codec refers to: one is brought to the host while the next is decoded.
constexpr int kExtraSurfaces = 4;

/// Takes the device's surfaces where the stream is offered on them. FFmpeg asks again without them
/// when the device then refuses the stream.
AVPixelFormat choose_format(AVCodecContext* context, const AVPixelFormat* offered) {
  for (const AVPixelFormat* format = offered; *format != AV_PIX_FMT_NONE; ++format)
    if (*format == AV_PIX_FMT_CUDA) return *format;
  return avcodec_default_get_format(context, offered);
}

bool is_codec_known(const AVCodec& codec) {
  for (int i = 0; const AVCodecHWConfig* config = avcodec_get_hw_config(&codec, i); ++i)
    if (config->device_type == AV_HWDEVICE_TYPE_CUDA &&
        (config->methods & AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX) != 0)
      return true;
  return false;
}

Result<AVBufferRef*> open_device() {
  AVBufferRef* device = nullptr;
  const int status =
      av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_CUDA, "0", nullptr, kPrimaryContext);
  if (status < 0)
    return fail(ErrorCode::kUnsupported,
                fmt::format("NVIDIA's decoder is not there: no driver, or no device in it ({}); "
                            "see what nvidia-smi says",
                            ffmpeg_text(status)));
  return device;
}

}  // namespace

Result<void> use_hardware_decoder(AVCodecContext& context) {
  if (!is_codec_known(*context.codec))
    return fail(ErrorCode::kUnsupported,
                fmt::format("NVIDIA's decoder knows no {}", avcodec_get_name(context.codec_id)));
  const Result<AVBufferRef*> device = open_device();
  if (!device) return fail(device.error());
  context.hw_device_ctx = *device;  // freed with the context
  context.get_format = choose_format;
  context.extra_hw_frames = kExtraSurfaces;
  return {};
}

Result<void> check_hardware_decoder() {
  silence_ffmpeg_log();
  Result<AVBufferRef*> device = open_device();
  if (!device) return fail(device.error());
  AVBufferRef* opened = *device;
  av_buffer_unref(&opened);
  return {};
}

AvFramePtr bring_to_host(const AVFrame& surface) {
  AvFramePtr host(av_frame_alloc());
  if (host == nullptr || av_hwframe_transfer_data(host.get(), &surface, 0) < 0 ||
      av_frame_copy_props(host.get(), &surface) < 0)
    return nullptr;
  return host;
}

}  // namespace framemill
