#pragma once

namespace framemill {

/// Prints the place and the broken assumption to stderr, then aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace framemill

/// For our own bugs only, never for input, network data or the shape of a model's output.
/// On in every build: its cost is far below that of a wrong answer.
#define CHECK(condition)                  \
  (static_cast<bool>(condition) ? (void)0 \
                                : ::framemill::check_failed(#condition, __FILE__, __LINE__))
