#pragma once

#include <string>
#include <vector>

#include "framemill/cli/bench_report.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

struct BenchPageExtras {
  std::vector<std::string> notes;  ///< what a reader of the figures should know
  std::string before_name;         ///< of the older profile; empty: none
  BenchChange change;              ///< since then
};

/// The profile as one HTML page that loads nothing from elsewhere: curves, table, environment. The
/// same input gives the same bytes.
[[nodiscard]] std::string to_bench_page(const DeviceProfile& profile,
                                        const BenchPageExtras& extras);

}  // namespace framemill
