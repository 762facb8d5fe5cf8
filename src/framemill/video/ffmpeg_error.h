#pragma once

#include <string>

#include "framemill/base/result.h"

namespace framemill {

/// FFmpeg's own words for one of its error codes.
[[nodiscard]] std::string ffmpeg_text(int av_error);

/// What a caller can do about an FFmpeg error: credentials refused is kFailedPrecondition, no such
/// stream kNotFound, bad data kInvalidArgument, no decoder kUnsupported, the network kUnavailable.
[[nodiscard]] ErrorCode code_of_ffmpeg(int av_error);

/// Keeps FFmpeg's log, which may show URLs with passwords, off stderr. Once per process, any
/// thread.
void silence_ffmpeg_log();

}  // namespace framemill
