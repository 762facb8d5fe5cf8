#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "framemill/base/clock.h"

namespace framemill {

/// How the machine and this process stand. What the system does not show is none.
struct HostReading {
  std::optional<double> cpu_utilization;    ///< of all cores, since the last reading; 0..1
  std::optional<double> process_cpu_cores;  ///< that this process kept busy since then
  std::int64_t process_rss_bytes = 0;
  std::int64_t memory_total_bytes = 0;
  std::int64_t memory_used_bytes = 0;  ///< not available to others without swapping
  std::int64_t process_threads = 0;
  std::int64_t process_descriptors = 0;
};

/// Reads /proc; about 50 us a reading. Not thread-safe.
class HostMeter {
 public:
  /// `root`: where /proc is looked for; another one in tests.
  explicit HostMeter(const Clock& clock, std::filesystem::path root = "/");
  /// Shares are since the reading before; the first has none.
  HostReading read();

 private:
  const Clock& clock_;
  const std::filesystem::path root_;
  std::optional<double> last_busy_, last_total_;  ///< ticks of all cores
  std::optional<double> last_process_s_;
  TimePoint last_at_;
};

}  // namespace framemill
