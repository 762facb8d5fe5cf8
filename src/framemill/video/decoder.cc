#include "framemill/video/decoder.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/cpu_time.h"
#include "framemill/video/ffmpeg_error.h"

namespace framemill {
namespace {

// 8192 x 8192: beyond any camera, and a broken header cannot make us allocate gigabytes.
constexpr std::int64_t kPixelsMax = std::int64_t{1} << 26;

/// The H.265 decoder ignores the wish; MPEG-1/2 and MPEG-4 Part 2 share their code.
bool exports_vectors(AVCodecID codec_id) {
  return codec_id == AV_CODEC_ID_H264 || codec_id == AV_CODEC_ID_MPEG4 ||
         codec_id == AV_CODEC_ID_MPEG2VIDEO || codec_id == AV_CODEC_ID_MPEG1VIDEO;
}

Result<AvCodecContextPtr> open_context(const AVCodecParameters& parameters, bool has_vectors,
                                       const HardwareDecoder* hardware) {
  const AVCodec* const codec = avcodec_find_decoder(parameters.codec_id);
  if (codec == nullptr)
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("this FFmpeg has no decoder for \"{}\"; set the camera to H.264 or H.265",
                    avcodec_get_name(parameters.codec_id)));
  AvCodecContextPtr context(avcodec_alloc_context3(codec));
  if (context == nullptr) return fail(ErrorCode::kResourceExhausted, "no memory for a decoder");
  int status = avcodec_parameters_to_context(context.get(), &parameters);
  if (status >= 0) {
    context->thread_count = 1;
    context->max_pixels = kPixelsMax;
    // Cropping then cuts exactly, also where rows no longer begin at an aligned address.
    context->flags |= AV_CODEC_FLAG_UNALIGNED;
    if (has_vectors) context->flags2 |= AV_CODEC_FLAG2_EXPORT_MVS;
    if (hardware != nullptr) hardware->attach(*context);
    status = avcodec_open2(context.get(), codec, nullptr);
  }
  if (status < 0)
    return fail(code_of_ffmpeg(status), fmt::format("the {} decoder cannot be opened: {}",
                                                    codec->name, ffmpeg_text(status)));
  return context;
}

}  // namespace

Result<std::unique_ptr<Decoder>> Decoder::create(const AVCodecParameters& parameters,
                                                 MotionVectors vectors,
                                                 const HardwareDecoder* hardware) {
  const bool has_vectors =
      vectors == MotionVectors::kExported && exports_vectors(parameters.codec_id);
  Result<AvCodecContextPtr> context =
      open_context(parameters, has_vectors, has_vectors ? nullptr : hardware);
  if (!context) return fail(context.error());
  const bool is_hardware = (*context)->hw_device_ctx != nullptr;
  std::unique_ptr<Decoder> decoder(new Decoder(*std::move(context)));
  decoder->has_vectors_ = has_vectors;
  if (is_hardware) {
    decoder->parameters_.reset(avcodec_parameters_alloc());
    if (decoder->parameters_ == nullptr ||
        avcodec_parameters_copy(decoder->parameters_.get(), &parameters) < 0)
      return fail(ErrorCode::kResourceExhausted, "no memory for a decoder");
  }
  return decoder;
}

bool Decoder::decode(AVPacket& packet, std::int64_t packet_id, const OnFrame& on_frame) {
  // Decoders order by what is coded in the stream and only pass time stamps on, so the pts can
  // carry the packet's id. It survives broken and missing time stamps.
  packet.pts = packet_id;
  packet.dts = AV_NOPTS_VALUE;
  const bool is_good = send(&packet, on_frame);
  guard_delay(is_good);
  if (is_hardware()) guard_hardware(is_good, on_frame);
  return is_good;
}

void Decoder::guard_hardware(bool is_good, const OnFrame& on_frame) {
  // A device that fails for good must not cost the camera: from its next key frame on the processor
  // decodes. Damage on the way looks the same, and then this costs speed alone, until a reconnect.
  constexpr int kFailuresMax = 25;
  hardware_failures_ = is_good ? 0 : hardware_failures_ + 1;
  if (hardware_failures_ < kFailuresMax) return;
  Result<AvCodecContextPtr> context = open_context(*parameters_, has_vectors_, nullptr);
  if (!context) return;
  send(nullptr, on_frame);
  context_ = *std::move(context);
  parameters_ = nullptr;
}

void Decoder::guard_delay(bool is_good) {
  // The H.264 decoder finds the reorder depth of streams that do not tell it by watching the order
  // of frames, and never goes back. Garbage that looks like a late frame would cost latency for
  // ever (0.3 s were seen), so near refused packets a new depth has to wait until it is proven.
  constexpr std::int64_t kProof = 50;  // packets
  ++packets_;
  good_run_ = is_good ? good_run_ + 1 : 0;
  reorder_age_ = context_->has_b_frames == last_reorder_ ? reorder_age_ + 1 : 0;
  last_reorder_ = context_->has_b_frames;
  if (packets_ < kProof || reorder_age_ >= kProof) {
    proven_reorder_ = context_->has_b_frames;
  } else if (good_run_ < std::min(kProof, packets_) && context_->has_b_frames > proven_reorder_) {
    context_->has_b_frames = proven_reorder_;
    is_delay_suspect_ = true;
  }
}

void Decoder::drain(const OnFrame& on_frame) {
  send(nullptr, on_frame);
  avcodec_flush_buffers(context_.get());
  is_delay_suspect_ = false;
}

bool Decoder::send(const AVPacket* packet, const OnFrame& on_frame) {
  int sent = 0;
  {
    const CpuSpan span(cpu_);
    sent = avcodec_send_packet(context_.get(), packet);
  }
  bool is_good = sent >= 0;
  int errors = 0;
  // A drain may meet broken frames on its way to good ones; the bound ends what never ends.
  constexpr int kErrorsMax = 64;
  while (errors < kErrorsMax) {
    AvFramePtr frame(av_frame_alloc());
    if (frame == nullptr) return false;
    int received = 0;
    {
      const CpuSpan span(cpu_);
      received = avcodec_receive_frame(context_.get(), frame.get());
    }
    if (received == AVERROR(EAGAIN) || received == AVERROR_EOF) break;
    if (received < 0) {
      is_good = false;
      ++errors;
      continue;
    }
    const std::int64_t packet_id = frame->pts;
    on_frame(std::move(frame), packet_id);
  }
  return is_good;
}

std::span<const AVMotionVector> Decoder::vectors_of(const AVFrame& frame) const {
  const AVFrameSideData* const data =
      has_vectors_ ? av_frame_get_side_data(&frame, AV_FRAME_DATA_MOTION_VECTORS) : nullptr;
  if (data == nullptr) return {};
  const bool is_broken =
      (frame.flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame.decode_error_flags != 0;
  const bool is_stale =
      context_->codec_id == AV_CODEC_ID_MPEG4 && frame.pict_type == AV_PICTURE_TYPE_B;
  if (is_broken || is_stale || frame.interlaced_frame != 0) return {};
  return {reinterpret_cast<const AVMotionVector*>(data->data), data->size / sizeof(AVMotionVector)};
}

std::string Decoder::codec_name() const { return avcodec_get_name(context_->codec_id); }

bool Decoder::is_intra_only() const {
  const AVCodecDescriptor* const d = avcodec_descriptor_get(context_->codec_id);
  return d != nullptr && (d->props & AV_CODEC_PROP_INTRA_ONLY) != 0;
}

}  // namespace framemill
