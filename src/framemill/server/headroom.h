#pragma once

#include <cstdint>
#include <string>

namespace framemill {

/// How much of one resource is used, in shares of it.
struct Headroom {
  const char* name;   ///< "device", "cpu" or "memory", as in the OpenAPI file
  double limit = 0;   ///< that may be used at most
  double own = 0;     ///< that the cameras of now use
  double others = 0;  ///< that other programs use; 0 where none can
  /// How many times the cameras of now fit beside them.
  [[nodiscard]] double room() const {
    return own > 0 && limit > others + own ? (limit - others - own) / own : 0;
  }
};

/// One or two sentences for people: what is used by whom, and how many more cameras fit. `binding`:
/// what runs out first; `share_inferred`: of the frames now, 0..1. Pure; any thread.
[[nodiscard]] std::string describe_headroom(const Headroom& binding, std::int64_t cameras,
                                            std::int64_t cameras_more, double share_inferred);

}  // namespace framemill
