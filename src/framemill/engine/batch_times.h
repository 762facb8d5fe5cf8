#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// A batch that was at the model from `begin` to `end`.
struct BatchSpan {
  TimePoint begin;
  TimePoint end;
  std::size_t frames = 1;  ///< >= 1
};

// What a number of batches tells about a device. Pure; spans in any order.

/// Their times by bucket and by the batches in flight over their life, each kind in one entry,
/// ascending.
[[nodiscard]] std::vector<RunBatches> sort_batches(std::span<const BatchSpan> spans);

/// RunPoint::likeness and likeness_time.
struct Likeness {
  double share = 0;
  Duration time{0};
};
/// From the autocorrelation of the normal scores of their times, each within its kind: that of
/// batches one after the other, two, three and four apart. A process that decays by `phi` a batch
/// beside noise that has no memory has r_k = share phi^k, so that phi = (r2 + r3 + r4) /
/// (r1 + r2 + r3) and share = r1 / phi. None from less than 60 spans or where r1 is within twice
/// its standard error, 1 / sqrt(n), of 0.
[[nodiscard]] Likeness find_likeness(std::span<const BatchSpan> spans);

/// Mean time in which a slot stood empty between two batches, where `slots` were to be kept full.
[[nodiscard]] Duration mean_handover(std::span<const BatchSpan> spans, std::size_t slots);

}  // namespace framemill
