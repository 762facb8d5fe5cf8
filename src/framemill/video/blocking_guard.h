#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "framemill/base/clock.h"

namespace framemill {

/// Lets another thread end, and a deadline bound, whatever a source is blocked in.
/// Thread-safety: interrupt() and is_interrupted() from any thread, the rest from the reading one.
class BlockingGuard {
 public:
  /// For ever: later waits return at once too.
  void interrupt();
  [[nodiscard]] bool is_interrupted() const { return is_interrupted_.load(); }

  /// On the machine's own clock, whatever Clock is injected: sockets know no other.
  void set_deadline_in(Duration from_now) {
    deadline_ = std::chrono::steady_clock::now() + from_now;
  }
  void clear_deadline() { deadline_ = TimePoint::max(); }
  [[nodiscard]] bool is_past_deadline() const {
    return deadline_ != TimePoint::max() && std::chrono::steady_clock::now() > deadline_;
  }

  /// Returns when `clock` reaches `due`; false if interrupted before.
  [[nodiscard]] bool wait_until(TimePoint due, const Clock& clock);

  /// FFmpeg's interrupt callback; `guard` is a BlockingGuard. Non-zero ends the blocking call.
  static int must_stop(void* guard);

 private:
  std::atomic<bool> is_interrupted_{false};
  TimePoint deadline_ = TimePoint::max();  // used by the reading thread only
  std::mutex mu_;                          // only for the wait below
  std::condition_variable woken_;
};

}  // namespace framemill
