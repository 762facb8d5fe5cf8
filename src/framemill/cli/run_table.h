#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "framemill/engine/engine.h"

namespace framemill {

/// Figures of one camera between two looks at a run.
struct CameraRate {
  double decoded_per_s = 0;
  double answered_per_s = 0;
};

/// Rates of each camera of `now` since `before` (an earlier report of the same run, or one without
/// cameras).
[[nodiscard]] std::vector<CameraRate> rates_between(const RunReport& before, const RunReport& now);

/// The table a person reads: a row a camera (state, decoded/s, answered/s, latency p50/p95,
/// outcomes), a total, and a line on the process. At most `rows_max` cameras, the most troubled
/// first where not all fit.
[[nodiscard]] std::string format_run_table(const RunReport& report,
                                           const std::vector<CameraRate>& rates,
                                           std::size_t rows_max);

}  // namespace framemill
