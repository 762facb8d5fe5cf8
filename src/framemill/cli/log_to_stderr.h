#pragma once

#include <string_view>

namespace framemill {

/// Sends the log of this process to standard error, where data never goes; once, at the start of a
/// verb. `level`: trace, debug, info, warn, error, critical or off.
void log_to_stderr(std::string_view level);

}  // namespace framemill
