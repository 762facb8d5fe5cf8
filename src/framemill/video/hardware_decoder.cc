#include "framemill/video/hardware_decoder.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/hwcontext.h>
}

#include <string>

#include <dlfcn.h>
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

/// AV_CUDA_USE_PRIMARY_CONTEXT of libavutil/hwcontext_cuda.h, which wants CUDA's headers.
constexpr int kPrimaryContext = 1;

/// While ONNX Runtime captures a CUDA graph, the driver refuses other threads' memory and more,
/// unless they have said that captures elsewhere are none of their business. Decoders are made, and
/// grow, whenever a camera comes. For the calling thread, as long as it lives.
void be_deaf_to_captures() {
  using Exchange = int (*)(int* mode);
  static const auto exchange = [] {
    void* const driver =
        dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);  // never closed: has threads
    return driver == nullptr
               ? nullptr
               : reinterpret_cast<Exchange>(dlsym(driver, "cuThreadExchangeStreamCaptureMode"));
  }();
  int mode = 1;  // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
  if (exchange != nullptr) (void)exchange(&mode);
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
  // The device's primary context, which ONNX Runtime and the letterbox use: what decodes brings a
  // small kernel for each picture, and the device switches between contexts, but runs those of one
  // side by side. FFmpeg refuses one whose threads wait otherwise than it wants; then one of its
  // own.
  AVBufferRef* device = nullptr;
  int status = -1;
  for (const int flags : {kPrimaryContext, 0}) {
    status = av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_CUDA, std::to_string(card).c_str(),
                                    nullptr, flags);
    if (status >= 0) break;
  }
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
  be_deaf_to_captures();
  context.hw_device_ctx = av_buffer_ref(device_);  // freed with the context
  if (context.hw_device_ctx == nullptr) return false;
  context.get_format = choose_format;
  context.extra_hw_frames = kExtraSurfaces;
  return true;
}

}  // namespace framemill
