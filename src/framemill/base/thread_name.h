#pragma once

#include <string_view>

namespace framemill {

/// Names the calling thread for `top -H`, `perf` and /proc/PID/task/*/comm: "KIND" or "KIND OF".
/// The kernel keeps 15 bytes, so KIND is short; of a path OF is the last part. Threads that it
/// starts inherit the name, until they give themselves one. Never fails.
void name_this_thread(std::string_view kind, std::string_view of = {});

}  // namespace framemill
