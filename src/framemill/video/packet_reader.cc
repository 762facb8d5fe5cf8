#include "framemill/video/packet_reader.h"

extern "C" {
#include <libavutil/dict.h>
}

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/shared_library.h"
#include "framemill/video/connect_gate.h"
#include "framemill/video/ffmpeg_error.h"

namespace framemill {
namespace {

// Containers that hold camera video. FFmpeg knows hundreds more, which see a "video" in nearly any
// file (text as teletype art, playlists that open other files).
constexpr const char* kFileFormats =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,mjpeg,mpjpeg,"
    "flv,"
    "asf,ogg,ivf,obu,nut,mxf,dhav,yuv4mpegpipe";
constexpr const char* kNetworkFormats =
    "rtsp,hls,mpegts,mpjpeg,mjpeg,flv,mov,mp4,matroska,webm,avi,mpeg,h264,hevc,asf,ogg,m4v,"
    "mpegvideo";

// Enough for the head of any stream a camera sends, and small enough to wait for.
constexpr std::int64_t kLiveProbeBytes = 1'000'000;
constexpr Duration kLiveProbeTime = std::chrono::milliseconds(500);

class Options {
 public:
  Options() = default;
  ~Options() { av_dict_free(&dictionary_); }
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;
  void set(const char* key, const std::string& value) {
    av_dict_set(&dictionary_, key, value.c_str(), 0);
  }
  AVDictionary** get() { return &dictionary_; }

 private:
  AVDictionary* dictionary_ = nullptr;
};

std::string microseconds(Duration d) {
  return fmt::format("{}", std::chrono::duration_cast<std::chrono::microseconds>(d).count());
}

void set_options(Options& to, const SourceOptions& options, UrlKind kind) {
  switch (kind) {
    case UrlKind::kFile:
      to.set("protocol_whitelist", "file");
      to.set("format_whitelist", kFileFormats);
      break;
    case UrlKind::kRtsp:
      to.set("protocol_whitelist", "rtsp,rtsps,rtp,tcp,udp,tls");
      to.set("format_whitelist", kNetworkFormats);
      to.set("rtsp_transport", options.transport == Transport::kUdp ? "udp" : "tcp");
      to.set("allowed_media_types", "video");
      to.set("timeout", microseconds(options.open_timeout));
      to.set("buffer_size", "2097152");  // a key frame of 4K comes at once; the default loses part
      to.set("user_agent", "framemill");
      break;
    case UrlKind::kHttp:
      to.set("protocol_whitelist", "http,https,httpproxy,tcp,tls,crypto");
      to.set("format_whitelist", kNetworkFormats);
      to.set("timeout", microseconds(options.open_timeout));
      to.set("user_agent", "framemill");
      break;
    case UrlKind::kUdp:
      to.set("protocol_whitelist", "udp");
      to.set("format_whitelist", kNetworkFormats);
      to.set("timeout", microseconds(options.open_timeout));
      to.set("overrun_nonfatal", "1");
      break;
    case UrlKind::kDevice:
    case UrlKind::kSynthetic:
      break;
  }
}

/// Libavdevice is loaded for the first device, see FramemillLazyLibrary; it brings 80 libraries of
/// sound cards and screens along.
Result<const AVInputFormat*> find_video4linux() {
  static const Result<void*> library = [] {
    Result<void*> loaded = load_shared_library(FRAMEMILL_AVDEVICE);
    void* const function = loaded ? find_symbol(*loaded, "avdevice_register_all") : nullptr;
    if (function != nullptr) reinterpret_cast<void (*)()>(function)();
    return loaded;
  }();
  if (!library) return fail(library.error());
  const AVInputFormat* const format = av_find_input_format("video4linux2");
  if (format == nullptr)
    return fail(ErrorCode::kUnsupported, "this FFmpeg has no Video4Linux; use an RTSP camera");
  return format;
}

bool is_video(const AVStream& stream) {
  return stream.codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
         (stream.disposition & AV_DISPOSITION_ATTACHED_PIC) == 0;
}

/// Whether a decoder can start with what is known now, without reading ahead.
bool is_codec_known(const AVFormatContext& format) {
  if ((format.ctx_flags & AVFMTCTX_NOHEADER) != 0) return false;
  for (unsigned i = 0; i < format.nb_streams; ++i)
    if (is_video(*format.streams[i]) && format.streams[i]->codecpar->codec_id != AV_CODEC_ID_NONE)
      return true;
  return false;
}

std::optional<Duration> duration_of(std::int64_t count, AVRational unit) {
  if (count == AV_NOPTS_VALUE) return std::nullopt;
  constexpr double kReasonS = 1e9;  // 31 years
  if (std::abs(static_cast<double>(count) * av_q2d(unit)) > kReasonS) return std::nullopt;
  return Duration(av_rescale_q(count, unit, AVRational{1, 1'000'000'000}));
}

}  // namespace

Result<std::unique_ptr<PacketReader>> PacketReader::open(const SourceOptions& options,
                                                         BlockingGuard& guard) {
  const Result<UrlKind> kind = classify_url(options.url);
  if (!kind) return fail(kind.error());
  silence_ffmpeg_log();
  std::unique_ptr<PacketReader> reader(new PacketReader(options, *kind, guard));
  guard.clear_deadline();
  if (*kind == UrlKind::kFile) {
    if (const Result<void> checked = check_source_file(options.url); !checked)
      return fail(checked.error());
  } else {
    guard.set_deadline_in(options.open_timeout);
  }
  const ConnectGate gate(options.may_connect_to);
  const Result<void> opened = reader->open_format();
  guard.clear_deadline();
  if (!opened) return gate.refusal() ? reader->refusal(gate) : fail(opened.error());
  if (gate.is_active() && reader->is_live() && !gate.was_asked()) {
    return fail(ErrorCode::kInternal,
                reader->name_ +
                    ": this build does not see where FFmpeg connects to; report it, "
                    "and add the camera in the configuration");
  }
  return reader;
}

Result<void> PacketReader::open_format() {
  AVFormatContext* format = avformat_alloc_context();
  if (format == nullptr) return fail(ErrorCode::kResourceExhausted, "no memory to open a video");
  format->interrupt_callback = {&BlockingGuard::must_stop, &guard_};
  if (kind_ == UrlKind::kDevice) format->flags |= AVFMT_FLAG_NONBLOCK;
  if (is_live()) {
    format->probesize = kLiveProbeBytes;
    format->max_analyze_duration =
        std::chrono::duration_cast<std::chrono::microseconds>(kLiveProbeTime).count();
  }
  // We measure the frame rate ourselves; FFmpeg would read 20 frames ahead for it.
  format->fps_probe_size = 0;
  Options options;
  set_options(options, options_, kind_);
  const bool is_path = kind_ == UrlKind::kFile || kind_ == UrlKind::kDevice;
  // "file:" keeps a name with a colon, or one that looks like an option, a file's name.
  const std::string url =
      kind_ == UrlKind::kFile ? "file:" + path_of_url(options_.url)
      : is_path               ? options_.url
                : with_credentials(options_.url, options_.username, options_.password);
  const AVInputFormat* input = nullptr;
  if (kind_ == UrlKind::kDevice) {
    const Result<const AVInputFormat*> video4linux = find_video4linux();
    if (!video4linux) {
      avformat_free_context(format);
      return fail(video4linux.error());
    }
    input = *video4linux;
  }
  // On failure FFmpeg frees the context itself.
  int status = avformat_open_input(&format, url.c_str(), input, options.get());
  if (status < 0) return open_failure(status);
  format_.reset(format);
  // Reading ahead costs a live stream the arrival times of its first packets, so only where needed.
  if (!is_live() || !is_codec_known(*format_)) {
    status = avformat_find_stream_info(format_.get(), nullptr);
    if (guard_.is_interrupted() || guard_.is_past_deadline() || status < 0)
      return open_failure(status < 0 ? status : AVERROR_EXIT);
  }
  return choose_stream();
}

Result<void> PacketReader::choose_stream() {
  const int best = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (best < 0 || !is_video(*format_->streams[best]))
    return fail(ErrorCode::kUnsupported,
                fmt::format("{}: there is no video in it, only {}", name_,
                            format_->nb_streams == 0 ? "an empty container" : "other streams"));
  if (format_->streams[best]->codecpar->codec_id == AV_CODEC_ID_NONE)
    return fail(ErrorCode::kUnsupported,
                fmt::format("{}: its video is of a kind this FFmpeg does not know", name_));
  stream_index_ = best;
  for (unsigned i = 0; i < format_->nb_streams; ++i)
    if (static_cast<int>(i) != best) format_->streams[i]->discard = AVDISCARD_ALL;
  return {};
}

Failure PacketReader::open_failure(int av_error) const {
  if (guard_.is_interrupted()) return fail(ErrorCode::kCancelled, name_ + ": interrupted");
  if (guard_.is_past_deadline() || av_error == AVERROR(ETIMEDOUT))
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: no answer within {:.1f} s; is the camera on and reachable?", name_,
                            to_seconds(options_.open_timeout)));
  const ErrorCode code = code_of_ffmpeg(av_error);
  if (kind_ == UrlKind::kFile && code == ErrorCode::kInvalidArgument)
    return fail(code, fmt::format("{} is not a video that can be read ({}); give one in MP4, MKV, "
                                  "AVI, TS or another usual container",
                                  name_, ffmpeg_text(av_error)));
  const char* advice = "";
  if (av_error == AVERROR_HTTP_UNAUTHORIZED || av_error == AVERROR_HTTP_FORBIDDEN)
    advice = "; check user name and password";
  else if (av_error == AVERROR_HTTP_NOT_FOUND)
    advice = "; the camera has no such stream, check the path of the URL";
  else if (av_error == AVERROR(ECONNREFUSED))
    advice = "; check address and port";
  else if (av_error == AVERROR(EACCES))
    advice = "; check its access rights";
  return fail(code, fmt::format("{}: {}{}", name_, ffmpeg_text(av_error), advice));
}

Failure PacketReader::refusal(const ConnectGate& gate) const {
  return fail(ErrorCode::kFailedPrecondition,
              fmt::format("{}: leads to {}", name_, gate.refusal()->message()));
}

Failure PacketReader::read_failure(int av_error, Duration waited) const {
  if (guard_.is_interrupted()) return fail(ErrorCode::kCancelled, name_ + ": interrupted");
  if (guard_.is_past_deadline() || av_error == AVERROR(ETIMEDOUT))
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: no packet for {:.1f} s", name_, to_seconds(waited)));
  if (av_error == AVERROR_EOF)
    return fail(ErrorCode::kUnavailable, fmt::format("{}: stream ended", name_));
  const ErrorCode code = is_live() ? ErrorCode::kUnavailable : code_of_ffmpeg(av_error);
  return fail(code, fmt::format("{}: {}", name_, ffmpeg_text(av_error)));
}

Result<bool> PacketReader::read(AVPacket& packet, Duration stall_timeout) {
  if (first_again_ != nullptr) {
    av_packet_move_ref(&packet, first_again_.get());
    first_again_.reset();
    return true;
  }
  constexpr int kBadReadsMax = 1000;  // a demuxer that meets garbage usually finds its way on
  constexpr Duration kDeviceLook = std::chrono::milliseconds(2);
  const TimePoint begin = std::chrono::steady_clock::now();
  if (is_live()) guard_.set_deadline_in(stall_timeout);
  const ConnectGate gate(options_.may_connect_to);
  int bad_reads = 0;
  while (true) {
    av_packet_unref(&packet);
    const int status = av_read_frame(format_.get(), &packet);
    if (status >= 0 && packet.stream_index == stream_index_ && packet.size > 0) {
      if (!first_pts_) first_pts_ = packet.pts;
      return true;
    }
    if (status == AVERROR_EOF && !is_live() && !guard_.is_interrupted()) return false;
    const bool is_stopped = BlockingGuard::must_stop(&guard_) != 0;
    if (!is_stopped && status >= 0) continue;  // of another stream
    if (!is_stopped && status == AVERROR(EAGAIN)) {
      static const SystemClock kClock;
      if (guard_.wait_until(kClock.now() + kDeviceLook, kClock)) continue;
    }
    if (!is_stopped && status == AVERROR_INVALIDDATA && ++bad_reads < kBadReadsMax) continue;
    if (!is_stopped && gate.refusal()) return refusal(gate);
    return read_failure(status, std::chrono::steady_clock::now() - begin);
  }
}

Result<void> PacketReader::rewind() {
  const std::int64_t begin = format_->start_time != AV_NOPTS_VALUE ? format_->start_time : 0;
  const bool is_sought =
      avformat_seek_file(format_.get(), -1, INT64_MIN, begin, INT64_MAX, AVSEEK_FLAG_BACKWARD) >= 0;
  if (is_sought) {
    AvPacketPtr first(av_packet_alloc());
    const Result<bool> read_again = read(*first, options_.stall_timeout_min);
    if (read_again && *read_again && first->pts == first_pts_ &&
        (first->flags & AV_PKT_FLAG_KEY) != 0) {
      first_again_ = std::move(first);
      return {};
    }
  }
  // Some containers cannot seek, or land elsewhere; opening anew always leads to the beginning.
  first_again_.reset();
  format_.reset();
  return open_format();
}

const AVCodecParameters& PacketReader::parameters() const {
  return *format_->streams[stream_index_]->codecpar;
}

double PacketReader::frame_rate_hz() const {
  if (has_no_time_stamps()) return 0;  // FFmpeg makes 25 up
  const AVRational rate = format_->streams[stream_index_]->avg_frame_rate;
  constexpr double kCredibleMax = 1000;
  const double hz = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
  return hz < kCredibleMax ? hz : 0;
}

double PacketReader::video_duration_s() const {
  if (is_live() || format_->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE) return 0;
  const AVStream& stream = *format_->streams[stream_index_];
  if (stream.duration > 0) return static_cast<double>(stream.duration) * av_q2d(stream.time_base);
  return format_->nb_streams == 1 ? duration_s() : 0;
}

double PacketReader::duration_s() const {
  if (is_live() || format_->duration <= 0) return 0;  // AV_NOPTS_VALUE is negative
  return static_cast<double>(format_->duration) / AV_TIME_BASE;
}

bool PacketReader::has_no_time_stamps() const {
  return is_live() && (format_->iformat->flags & AVFMT_NOTIMESTAMPS) != 0;
}

PacketTimes PacketReader::times_of(const AVPacket& packet) const {
  if (has_no_time_stamps()) return {};  // FFmpeg counts frames at 25 a second
  const AVRational unit = format_->streams[stream_index_]->time_base;
  return {duration_of(packet.pts, unit), duration_of(packet.dts, unit)};
}

}  // namespace framemill
