#include "framemill/video/hardware_decoder.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/hwcontext.h>
}

#include <string>

#include <fmt/format.h>

#include "framemill/video/ffmpeg_error.h"

namespace framemill {
namespace {

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

}  // namespace

Result<std::shared_ptr<const HardwareDecoder>> HardwareDecoder::open(int card) {
  silence_ffmpeg_log();
  // A context of FFmpeg's own: the device's primary one, which ONNX Runtime uses, it takes only as
  // long as nobody has it.
  AVBufferRef* device = nullptr;
  const int status = av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_CUDA,
                                            std::to_string(card).c_str(), nullptr, 0);
  if (status < 0)
    return fail(ErrorCode::kUnsupported,
                fmt::format("NVIDIA's decoder is not there: no driver, or no device in it ({}); "
                            "see what nvidia-smi says",
                            ffmpeg_text(status)));
  return std::shared_ptr<const HardwareDecoder>(new HardwareDecoder(device));
}

HardwareDecoder::~HardwareDecoder() {
  AVBufferRef* device = device_;
  av_buffer_unref(&device);
}

bool HardwareDecoder::attach(AVCodecContext& context) const {
  if (!is_codec_known(*context.codec)) return false;
  context.hw_device_ctx = av_buffer_ref(device_);  // freed with the context
  if (context.hw_device_ctx == nullptr) return false;
  context.get_format = choose_format;
  context.extra_hw_frames = kExtraSurfaces;
  return true;
}

}  // namespace framemill
