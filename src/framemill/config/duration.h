#pragma once

#include <string>
#include <string_view>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"

namespace framemill {

/// From a number with a unit: "200ms", "2s", "1.5s", "5m", "24h"; 0 up to 1e9 s.
/// Errors: kInvalidArgument; the message quotes `text` and shows how to write one.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

/// The shortest text that parse_duration() reads back to whole microseconds: "200ms", "30s",
/// "1.5ms".
[[nodiscard]] std::string format_duration(Duration duration);

}  // namespace framemill
