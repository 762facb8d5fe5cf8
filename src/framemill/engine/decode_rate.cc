#include "framemill/engine/decode_rate.h"

#include <fmt/format.h>

#include "framemill/base/cpu_time.h"
#include "framemill/video/source.h"

namespace framemill {
namespace {

/// The first pictures need the decoder's memory to be made.
constexpr std::int64_t kWarmUpFrames = 5;
/// A clip of one frame loops at the cost of opening it.
constexpr std::int64_t kFramesMin = 10;

}  // namespace

Result<DecodeRate> measure_decode_rate(const std::string& path, Duration least,
                                       const Clock& clock) {
  SourceOptions options;
  options.url = path;
  options.pace = Pace::kFast;
  options.is_looped = true;
  options.sampling = {.rate_hz = 0};  // all frames, so none is skipped
  const Result<std::unique_ptr<Source>> source = create_source(options, clock);
  if (!source) return fail(source.error());
  if (Result<void> opened = (*source)->open(); !opened) return fail(opened.error());
  Duration begin = thread_cpu_time();
  Duration used{0};
  std::int64_t frames = 0;
  for (std::int64_t read = 0; used < least || frames < kFramesMin; ++read) {
    const Result<std::optional<SourceFrame>> frame = (*source)->read();
    if (!frame) return fail(frame.error());
    if (!*frame)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: holds no pictures", path));
    if (read == kWarmUpFrames) {
      begin = thread_cpu_time();
      frames = 0;
    }
    used = thread_cpu_time() - begin;
    frames += (*frame)->is_failed || read == kWarmUpFrames ? 0 : 1;
    if (read > 1'000'000)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: cannot be decoded", path));
  }
  const StreamFacts facts = (*source)->facts();
  return DecodeRate{.codec = facts.codec,
                    .size = facts.size,
                    .frames_per_core_s = static_cast<double>(frames) / to_seconds(used)};
}

}  // namespace framemill
