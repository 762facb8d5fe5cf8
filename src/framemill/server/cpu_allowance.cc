#include "framemill/server/cpu_allowance.h"

#include <algorithm>

#include "framemill/base/check.h"

namespace framemill {

CpuAllowance::CpuAllowance(double cores, Duration burst, TimePoint now)
    : cores_(cores), burst_(burst), left_(burst), earned_at_(now) {
  CHECK(cores > 0);
}

Duration CpuAllowance::delay(TimePoint now) {
  const MutexLock lock(mu_);
  left_ = std::min(burst_, left_ + from_seconds(cores_ * to_seconds(now - earned_at_)));
  earned_at_ = now;
  if (left_ >= Duration::zero()) return Duration::zero();
  return from_seconds(to_seconds(-left_) / cores_);
}

void CpuAllowance::spend(Duration cpu) {
  const MutexLock lock(mu_);
  left_ -= cpu;
}

}  // namespace framemill
