#include "framemill/config/duration.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace framemill {
namespace {
constexpr double kSecondsMax = 1e9;  // still fits int64 nanoseconds
}

Result<Duration> parse_duration(std::string_view text) {
  const char* const end = text.data() + text.size();
  double count = 0;
  const auto [rest, status] = std::from_chars(text.data(), end, count, std::chars_format::fixed);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  double seconds = -1;
  if (unit == "ms") seconds = count / 1e3;
  if (unit == "s") seconds = count;
  if (unit == "m") seconds = count * 60;
  if (unit == "h") seconds = count * 3600;
  const bool is_valid = status == std::errc{} && std::isfinite(seconds) && seconds >= 0 &&
                        seconds <= kSecondsMax && !text.starts_with('-');
  if (is_valid) return from_seconds(seconds);
  return fail(ErrorCode::kInvalidArgument,
              fmt::format(R"("{}" is not a duration; write one like "200ms" or "2s")", text));
}

std::string format_duration(Duration duration) {
  using std::chrono::duration_cast;
  using std::chrono::hours;
  using std::chrono::minutes;
  using std::chrono::seconds;
  // Two of a unit at least: "60s" says more than "1m" where neighbours are in seconds.
  if (duration >= hours(2) && duration % hours(1) == Duration(0))
    return fmt::format("{}h", duration_cast<hours>(duration).count());
  if (duration >= minutes(2) && duration % minutes(1) == Duration(0))
    return fmt::format("{}m", duration_cast<minutes>(duration).count());
  if (duration % seconds(1) == Duration(0))
    return fmt::format("{}s", duration_cast<seconds>(duration).count());
  return fmt::format("{:.10g}ms", to_ms(duration));
}

}  // namespace framemill
