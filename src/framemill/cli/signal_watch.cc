#include "framemill/cli/signal_watch.h"

#include <cstdio>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "framemill/base/thread_name.h"

namespace framemill {

SignalWatch::SignalWatch(std::string loss, bool has_hangup) : loss_(std::move(loss)) {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  if (has_hangup) sigaddset(&signals_, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write(), not our end
  thread_ = std::thread([this] { run(); });
}

SignalWatch::~SignalWatch() {
  is_over_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void SignalWatch::watch(std::function<void()> request_stop, std::function<void()> reload) {
  const MutexLock lock(mu_);
  request_stop_ = std::move(request_stop);
  reload_ = std::move(reload);
}

void SignalWatch::run() {
  name_this_thread("signals");
  bool is_second = false;
  while (true) {
    int signal_number = 0;
    if (sigwait(&signals_, &signal_number) != 0 || is_over_) return;
    std::function<void()> request_stop;
    std::function<void()> reload;
    {
      const MutexLock lock(mu_);
      request_stop = request_stop_;
      reload = reload_;
    }
    if (signal_number == SIGHUP) {
      if (reload) reload();  // else it comes too early, or too late
      continue;
    }
    if (is_second || !request_stop) {
      fmt::print(
          stderr, "framemill: {}\n",
          request_stop ? "stopped at once; " + loss_ : "stopped before anything was started");
      _exit(128 + signal_number);
    }
    is_second = true;
    request_stop();
  }
}

}  // namespace framemill
