#include "framemill/cli/signal_watch.h"

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "framemill/base/thread_name.h"

namespace framemill {

SignalWatch::SignalWatch(Options options) : options_(std::move(options)) {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  if (options_.has_hangup) sigaddset(&signals_, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write(), not our end
  thread_ = std::thread([this] { run(); });
}

SignalWatch::~SignalWatch() {
  is_over_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void SignalWatch::watch(Actions actions) {
  std::function<void()> stop;
  {
    const MutexLock lock(mu_);
    if (is_signal_kept_) stop = actions.stop;
    actions_ = std::move(actions);
  }
  if (stop) stop();
}

int SignalWatch::next(std::optional<Duration> patience) const {
  if (!patience) {
    int signal_number = 0;
    return sigwait(&signals_, &signal_number) == 0 ? signal_number : 0;
  }
  const timespec wait{.tv_sec = patience->count() / std::nano::den,
                      .tv_nsec = patience->count() % std::nano::den};
  int signal_number = 0;
  do {
    signal_number = sigtimedwait(&signals_, nullptr, &wait);
  } while (signal_number < 0 && errno == EINTR);
  return signal_number < 0 ? 0 : signal_number;
}

void SignalWatch::end(int signal_number, bool has_started) const {
  fmt::print(
      stderr, "framemill: {}\n",
      has_started ? "stopped at once; " + options_.loss : "stopped before anything was started");
  _exit(128 + signal_number);
}

std::optional<SignalWatch::Actions> SignalWatch::watched(bool keeps) {
  const MutexLock lock(mu_);
  if (keeps && !actions_) is_signal_kept_ = true;
  return actions_;
}

void SignalWatch::run() {
  name_this_thread("signals");
  using SteadyClock = std::chrono::steady_clock;
  int first = 0;  // the signal that asked for the end
  SteadyClock::time_point first_at;
  while (true) {
    const bool is_kept = first != 0 && !watched(false);
    const int signal_number =
        next(is_kept ? std::optional(options_.start_patience) : std::optional<Duration>());
    if (is_over_) return;
    const bool is_first = first == 0 && signal_number != SIGHUP;
    const std::optional<Actions> actions = watched(is_first);
    const auto now = SteadyClock::now();
    if (signal_number == SIGHUP) {
      if (actions && actions->reload) actions->reload();  // else it comes too early, or too late
    } else if (signal_number == 0) {
      if (!actions) end(first, false);  // patience is over
    } else if (is_first) {
      first = signal_number;
      first_at = now;
      if (actions) {
        actions->stop();
      } else if (options_.start_patience == Duration::zero()) {
        end(first, false);
      }
    } else if (now - first_at >= kSameSignal) {
      if (actions && actions->hasten) actions->hasten();
      end(signal_number, actions.has_value());
    }
  }
}

}  // namespace framemill
