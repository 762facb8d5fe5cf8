#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include <signal.h>

#include "framemill/base/mutex.h"

namespace framemill {

/// What SIGINT and SIGTERM do to a command that works for a while: the first one asks it to stop, a
/// second one ends the process at once, as does the first while there is nothing to stop yet.
/// SIGHUP has a command with a configuration read it again; without one it ends the process as
/// ever. All are blocked in all threads made after the watch, and taken by its own. SIGPIPE is
/// ignored from then on. One a process, made before other threads. Thread-safety: watch(), any
/// thread.
class SignalWatch {
 public:
  /// `loss`: what a second signal costs, for its message ("the summary was not written").
  /// `has_hangup`: SIGHUP is taken, too.
  explicit SignalWatch(std::string loss, bool has_hangup = false);
  SignalWatch(const SignalWatch&) = delete;
  ~SignalWatch();
  /// From now on the first signal calls `request_stop`, on the watch's thread. What it uses
  /// outlives the watch.
  /// `reload`: likewise for SIGHUP, as often as it comes; has to be quick.
  void watch(std::function<void()> request_stop, std::function<void()> reload = {}) EXCLUDES(mu_);

 private:
  void run() EXCLUDES(mu_);

  const std::string loss_;
  sigset_t signals_{};
  std::atomic<bool> is_over_{false};
  Mutex mu_;
  std::function<void()> request_stop_ GUARDED_BY(mu_);
  std::function<void()> reload_ GUARDED_BY(mu_);
  std::thread thread_;  // last member
};

}  // namespace framemill
