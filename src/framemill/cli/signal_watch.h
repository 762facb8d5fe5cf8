#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include <signal.h>

#include "framemill/base/mutex.h"

namespace framemill {

/// What SIGINT and SIGTERM do to a command that works for a while: the first one asks it to stop, a
/// second one ends the process at once, as does the first while there is nothing to stop yet. Both
/// are blocked in all threads made after the watch, and taken by its own. SIGPIPE is ignored from
/// then on. One a process, made before other threads. Thread-safety: watch(), any thread.
class SignalWatch {
 public:
  /// `loss`: what a second signal costs, for its message ("the summary was not written").
  explicit SignalWatch(std::string loss);
  SignalWatch(const SignalWatch&) = delete;
  ~SignalWatch();
  /// From now on the first signal calls `request_stop`, on the watch's thread. What it uses
  /// outlives the watch.
  void watch(std::function<void()> request_stop) EXCLUDES(mu_);

 private:
  void run() EXCLUDES(mu_);

  const std::string loss_;
  sigset_t signals_{};
  std::atomic<bool> is_over_{false};
  Mutex mu_;
  std::function<void()> request_stop_ GUARDED_BY(mu_);
  std::thread thread_;  // last member
};

}  // namespace framemill
