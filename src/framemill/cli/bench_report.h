#pragma once

#include <string>
#include <vector>

#include "framemill/sched/device_profile.h"

namespace framemill {

/// Latency of a batch at `percent` (0..100) in ms; 0 where nothing was measured.
[[nodiscard]] double latency_ms(const ServicePoint& point, std::size_t percent);

/// The point of a setting; null where it was not measured.
[[nodiscard]] const ServicePoint* find_point(const DeviceProfile& profile, std::size_t batch,
                                             std::size_t streams, std::size_t decoders);

/// "batch 1, 2 streams", "batch 1, 2 streams, 8 cameras decoded beside".
[[nodiscard]] std::string describe_point(const ServicePoint& point);

/// The profile as a table for people.
[[nodiscard]] std::string format_bench_table(const DeviceProfile& profile);

/// What changed between two profiles, as lines for people.
struct BenchChange {
  std::vector<std::string> warnings;     ///< latencies that moved by more than 5 %
  std::vector<std::string> environment;  ///< "runtime: OpenVINO 1 -> OpenVINO 2"
  std::string likely_cause;              ///< that explains latencies by itself; empty: none does
  std::string other_load;                ///< "1.2 cores then, 0.1 now"; empty: not known
  std::size_t compared = 0;              ///< settings that both have
  bool is_other_model = false;           ///< then no latency was compared
};
/// Pure. Compares the median of every setting that both profiles have. An older one of another
/// model, input or device is not compared, and the environment says so; one that was made with
/// another arithmetic or runtime is, and that is the likely cause of what moved.
[[nodiscard]] BenchChange compare_profiles(const DeviceProfile& before, const DeviceProfile& now);

/// The same as text, one line each, with what it means.
[[nodiscard]] std::string format_bench_change(const BenchChange& change,
                                              const std::string& before_name);

}  // namespace framemill
