#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "framemill/base/clock.h"

namespace framemill {

/// Where a run's figures were measured.
struct Environment {
  std::string cpu_model;   ///< as the processor calls itself; "unknown" where not readable
  unsigned cpu_count = 0;  ///< usable by this process: affinity and container quota
  std::int64_t memory_bytes = 0;
  std::string kernel;  ///< "Linux 6.1.0"
};
/// `root`: of /proc/cpuinfo and the quota, in place of "/", for tests.
[[nodiscard]] Environment read_environment(const std::filesystem::path& root = "/");

/// What this process has used so far.
struct ProcessUsage {
  Duration cpu_user{0};
  Duration cpu_system{0};
  std::int64_t rss_bytes = 0;
  std::int64_t rss_peak_bytes = 0;
};
[[nodiscard]] ProcessUsage read_process_usage();

/// A name for a run that sorts by time and is unique for ever: 48 bits of milliseconds and 80
/// random bits in Crockford's base 32, the layout of a ULID (https://github.com/ulid/spec). 26
/// characters.
[[nodiscard]] std::string make_run_id(WallTime now);

}  // namespace framemill
