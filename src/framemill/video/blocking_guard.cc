#include "framemill/video/blocking_guard.h"

#include <algorithm>

namespace framemill {
namespace {

// A ManualClock tells no one that it moved, so a wait looks again this often.
constexpr Duration kLookAgain = std::chrono::milliseconds(50);

}  // namespace

void BlockingGuard::interrupt() {
  {
    const std::lock_guard lock(mu_);
    is_interrupted_ = true;
  }
  woken_.notify_all();
}

bool BlockingGuard::wait_until(TimePoint due, const Clock& clock) {
  std::unique_lock lock(mu_);
  while (!is_interrupted_) {
    const Duration left = due - clock.now();
    if (left <= Duration::zero()) return true;
    woken_.wait_for(lock, std::min(left, kLookAgain));
  }
  return false;
}

int BlockingGuard::must_stop(void* guard) {
  const auto* self = static_cast<const BlockingGuard*>(guard);
  return self->is_interrupted() || self->is_past_deadline() ? 1 : 0;
}

}  // namespace framemill
