#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include <signal.h>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"

namespace framemill {

/// What SIGINT and SIGTERM do to a command that works for a while: the first one asks it to stop, a
/// second one ends the process at once, as does the first while there is nothing to stop yet. One
/// that comes within kSameSignal of the first is the first: `timeout` sends it to the process and
/// to its group. SIGHUP has a command with a configuration read it again; without one it ends the
/// process as ever. All are blocked in all threads made after the watch, and taken by its own.
/// SIGPIPE is ignored from then on. One a process, made before other threads. Thread-safety:
/// watch(), any thread.
class SignalWatch {
 public:
  static constexpr Duration kSameSignal = std::chrono::milliseconds(100);

  struct Options {
    std::string loss;  ///< what a second signal costs, for its message: "nothing was written"
    bool has_hangup = false;  ///< SIGHUP is taken, too
    /// A first signal which comes before watch() is kept for it so long; then it ends the process.
    Duration start_patience{0};
  };
  struct Actions {
    std::function<void()> stop;      ///< for the first signal
    std::function<void()> hasten{};  ///< for the second one, right before the end: be quick
    std::function<void()> reload{};  ///< for each SIGHUP: be quick
  };

  explicit SignalWatch(Options options);
  SignalWatch(const SignalWatch&) = delete;
  ~SignalWatch();
  /// From now on signals call `actions`, on the watch's thread; a signal that was kept calls stop()
  /// before this returns. What they use outlives the watch.
  void watch(Actions actions) EXCLUDES(mu_);

 private:
  void run() EXCLUDES(mu_);
  /// What signals do, once it is known. `keeps`: until then a signal waits for it.
  std::optional<Actions> watched(bool keeps) EXCLUDES(mu_);
  /// The next signal; 0 where none comes within `patience`, if given.
  int next(std::optional<Duration> patience) const;
  [[noreturn]] void end(int signal_number, bool has_started) const;

  const Options options_;
  sigset_t signals_{};
  std::atomic<bool> is_over_{false};
  Mutex mu_;
  std::optional<Actions> actions_ GUARDED_BY(mu_);  // set once
  bool is_signal_kept_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // last member
};

}  // namespace framemill
