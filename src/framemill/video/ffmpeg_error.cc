#include "framemill/video/ffmpeg_error.h"

extern "C" {
#include <libavutil/error.h>
#include <libavutil/log.h>
}

#include <array>
#include <cerrno>
#include <cstdarg>
#include <mutex>

namespace framemill {

std::string ffmpeg_text(int av_error) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(av_error, text.data(), text.size());
  return text.data();
}

ErrorCode code_of_ffmpeg(int av_error) {
  switch (av_error) {
    case AVERROR_HTTP_UNAUTHORIZED:
    case AVERROR_HTTP_FORBIDDEN:
    case AVERROR(EACCES):
    case AVERROR(EPERM):
      return ErrorCode::kFailedPrecondition;
    case AVERROR_HTTP_NOT_FOUND:
    case AVERROR_STREAM_NOT_FOUND:
    case AVERROR(ENOENT):
    case AVERROR(ENODEV):
    case AVERROR(ENXIO):
      return ErrorCode::kNotFound;
    case AVERROR_DECODER_NOT_FOUND:
    case AVERROR_DEMUXER_NOT_FOUND:
    case AVERROR_PROTOCOL_NOT_FOUND:
    case AVERROR_PATCHWELCOME:
    case AVERROR(ENOSYS):
      return ErrorCode::kUnsupported;
    case AVERROR_INVALIDDATA:
    case AVERROR_HTTP_BAD_REQUEST:
    case AVERROR_OPTION_NOT_FOUND:
    case AVERROR(EINVAL):
      return ErrorCode::kInvalidArgument;
    case AVERROR(ENOMEM):
    case AVERROR(EMFILE):
    case AVERROR(ENFILE):
      return ErrorCode::kResourceExhausted;
    default:  // refused, reset, unreachable, timed out, 5xx, I/O: may be gone in a minute
      return ErrorCode::kUnavailable;
  }
}

void silence_ffmpeg_log() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_callback([](void*, int, const char*, std::va_list) {}); });
}

}  // namespace framemill
