#include "framemill/base/clock.h"

#include "framemill/base/check.h"

namespace framemill {

TimePoint SystemClock::now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}
WallTime SystemClock::wall_now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

TimePoint ManualClock::now() const {
  const std::lock_guard lock(mu_);
  return TimePoint(elapsed_);
}
WallTime ManualClock::wall_now() const {
  const std::lock_guard lock(mu_);
  return WallTime(elapsed_);
}
void ManualClock::advance(Duration by) {
  CHECK(by >= Duration::zero());
  const std::lock_guard lock(mu_);
  elapsed_ += by;
}

}  // namespace framemill
