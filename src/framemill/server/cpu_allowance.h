#pragma once

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"

namespace framemill {

/// Holds what the server's workers spend to a share of one core, so that no number of clients takes
/// from the engine what it needs: who has overspent waits before the next request.
/// Thread-safety: all members, any thread.
class CpuAllowance {
 public:
  /// `cores`: on average, > 0; `burst`: processor time that may be spent at once.
  CpuAllowance(double cores, Duration burst, TimePoint now);
  /// How long to wait before something more is done.
  [[nodiscard]] Duration delay(TimePoint now) EXCLUDES(mu_);
  void spend(Duration cpu) EXCLUDES(mu_);

 private:
  const double cores_;
  const Duration burst_;
  Mutex mu_;
  Duration left_ GUARDED_BY(mu_);
  TimePoint earned_at_ GUARDED_BY(mu_);
};

}  // namespace framemill
