#include "framemill/video/generated_clip.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <fmt/format.h>

extern "C" {
#include <libavutil/opt.h>
}

#include "framemill/video/av_handles.h"
#include "framemill/video/ffmpeg_error.h"
#include "framemill/video/synthetic_source.h"

namespace framemill {
namespace {

/// A file that is being written; closed whatever happens.
class Output {
 public:
  ~Output() {
    if (context_ == nullptr) return;
    if (context_->pb != nullptr) avio_closep(&context_->pb);
    avformat_free_context(context_);
  }
  Output() = default;
  Output(const Output&) = delete;
  [[nodiscard]] int open(const std::string& path) {
    const int made = avformat_alloc_output_context2(&context_, nullptr, "matroska", nullptr);
    return made < 0 ? made : avio_open(&context_->pb, path.c_str(), AVIO_FLAG_WRITE);
  }
  [[nodiscard]] AVFormatContext* get() const { return context_; }

 private:
  AVFormatContext* context_ = nullptr;
};

const AVCodec* find_encoder(const std::string& codec) {
  if (codec == "h264") return avcodec_find_encoder_by_name("libx264");
  if (codec == "hevc") return avcodec_find_encoder_by_name("libx265");
  return codec == "mjpeg" ? avcodec_find_encoder(AV_CODEC_ID_MJPEG) : nullptr;
}

AvCodecContextPtr make_encoder(const AVCodec& codec, const GeneratedClip& clip) {
  AvCodecContextPtr encoder(avcodec_alloc_context3(&codec));
  if (!encoder) return encoder;
  encoder->width = clip.size.width;
  encoder->height = clip.size.height;
  encoder->pix_fmt = codec.id == AV_CODEC_ID_MJPEG ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P;
  encoder->time_base = {1, clip.rate_hz};
  encoder->framerate = {clip.rate_hz, 1};
  encoder->gop_size = 2 * clip.rate_hz;
  encoder->max_b_frames = 0;
  encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  if (codec.id == AV_CODEC_ID_MJPEG) {
    encoder->flags |= AV_CODEC_FLAG_QSCALE;
    encoder->global_quality = 5 * FF_QP2LAMBDA;
  } else {
    encoder->bit_rate = static_cast<std::int64_t>(clip.bits_per_pixel * clip.size.width *
                                                  clip.size.height * clip.rate_hz);
    // Unknown options are left alone: each encoder takes its own.
    av_opt_set(encoder->priv_data, "preset",
               codec.id == AV_CODEC_ID_HEVC ? "ultrafast" : "veryfast", 0);
    av_opt_set(encoder->priv_data, "x265-params", "log-level=none:bframes=0", 0);
  }
  return encoder;
}

/// Shapes with grain that changes from picture to picture: without it, half of the bits would not
/// be needed.
void paint(const SyntheticPainter& painter, int index, std::uint32_t& noise, AVFrame& frame) {
  const std::shared_ptr<const Picture> picture = painter.paint(index);
  for (int i = 0; i < 3; ++i) {
    const int shift = i == 0 ? 0 : 1;
    const int width = (picture->size.width + shift) >> shift;
    const int height = (picture->size.height + shift) >> shift;
    const Plane& plane = picture->planes[static_cast<std::size_t>(i)];
    for (int y = 0; y < height; ++y) {
      const std::uint8_t* const from = plane.data + static_cast<std::ptrdiff_t>(y) * plane.stride;
      std::uint8_t* const to = frame.data[i] + static_cast<std::ptrdiff_t>(y) * frame.linesize[i];
      if (i > 0) {
        std::memcpy(to, from, static_cast<std::size_t>(width));
        continue;
      }
      for (int x = 0; x < width; ++x) {
        noise = noise * 1664525U + 1013904223U;
        to[x] = static_cast<std::uint8_t>(
            std::clamp(from[x] + static_cast<int>(noise >> 29U) - 4, 16, 235));
      }
    }
  }
}

}  // namespace

Result<void> generate_clip(const GeneratedClip& clip, const std::string& path) {
  silence_ffmpeg_log();
  const AVCodec* const codec = find_encoder(clip.codec);
  if (codec == nullptr)
    return fail(ErrorCode::kUnsupported,
                fmt::format("this FFmpeg cannot encode {}; name a clip instead", clip.codec));
  const auto check = [&path](int status, const char* what) -> Result<void> {
    if (status >= 0) return {};
    return fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: {}: {}", path, what, ffmpeg_text(status)));
  };
  Output output;
  if (auto opened = check(output.open(path), "cannot be written"); !opened) return opened;
  const AvCodecContextPtr encoder = make_encoder(*codec, clip);
  AVStream* const stream = encoder ? avformat_new_stream(output.get(), nullptr) : nullptr;
  const AvFramePtr frame(av_frame_alloc());
  const AvPacketPtr packet(av_packet_alloc());
  if (stream == nullptr || !frame || !packet) return check(AVERROR(ENOMEM), "encoding");
  int status = avcodec_open2(encoder.get(), codec, nullptr);
  if (status >= 0) status = avcodec_parameters_from_context(stream->codecpar, encoder.get());
  stream->time_base = encoder->time_base;
  stream->avg_frame_rate = encoder->framerate;
  if (status >= 0) status = avformat_write_header(output.get(), nullptr);
  if (auto ready = check(status, "encoding"); !ready) return ready;

  frame->format = encoder->pix_fmt;
  frame->width = clip.size.width;
  frame->height = clip.size.height;
  const SyntheticPainter painter(
      {.size = clip.size, .rate_hz = static_cast<double>(clip.rate_hz), .objects = 5});
  std::uint32_t noise = 1;
  for (int i = 0; i <= clip.frames && status >= 0; ++i) {
    const bool is_end = i == clip.frames;
    if (!is_end) {
      status = frame->buf[0] == nullptr ? av_frame_get_buffer(frame.get(), 0)
                                        : av_frame_make_writable(frame.get());
      if (status < 0) break;
      paint(painter, i, noise, *frame);
      frame->pts = i;
      frame->quality = encoder->global_quality;
    }
    status = avcodec_send_frame(encoder.get(), is_end ? nullptr : frame.get());
    while (status >= 0) {
      status = avcodec_receive_packet(encoder.get(), packet.get());
      if (status == AVERROR(EAGAIN) || status == AVERROR_EOF) {
        status = 0;
        break;
      }
      if (status < 0) break;
      packet->stream_index = stream->index;
      if (packet->duration == 0) packet->duration = 1;
      av_packet_rescale_ts(packet.get(), encoder->time_base, stream->time_base);
      status = av_interleaved_write_frame(output.get(), packet.get());
    }
  }
  if (status >= 0) status = av_write_trailer(output.get());
  return check(status, "encoding");
}

}  // namespace framemill
