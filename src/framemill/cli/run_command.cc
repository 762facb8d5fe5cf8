#include "framemill/cli/run_command.h"

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "framemill/base/clock.h"
#include "framemill/cli/log_to_stderr.h"
#include "framemill/cli/run_options.h"
#include "framemill/cli/run_table.h"
#include "framemill/cli/signal_watch.h"
#include "framemill/engine/engine.h"
#include "framemill/engine/run_summary.h"

namespace framemill {
namespace {

/// Redraws the table on a terminal twice a second, below the log.
class LiveTable {
 public:
  explicit LiveTable(const Engine& engine) : engine_(engine), thread_([this] { run(); }) {}
  LiveTable(const LiveTable&) = delete;
  ~LiveTable() {
    {
      const std::lock_guard lock(mu_);
      is_over_ = true;
    }
    over_.notify_all();
    thread_.join();
  }

 private:
  void run() {
    RunReport before;
    int lines_drawn = 0;
    std::unique_lock lock(mu_);
    while (!over_.wait_for(lock, std::chrono::milliseconds(500), [this] { return is_over_; })) {
      const RunReport now = engine_.report();
      winsize window{};
      ioctl(STDERR_FILENO, TIOCGWINSZ, &window);
      const int rows = window.ws_row > 0 ? window.ws_row : 24;
      const std::string table = format_run_table(now, rates_between(before, now),
                                                 static_cast<std::size_t>(std::max(3, rows - 6)));
      std::string out;
      if (lines_drawn > 0) out += fmt::format("\x1b[{}F", lines_drawn);
      lines_drawn = 0;
      for (std::size_t at = 0; at < table.size(); ++lines_drawn) {
        const std::size_t end = table.find('\n', at);
        std::string_view line(table.data() + at, end - at);
        if (window.ws_col > 0) line = line.substr(0, window.ws_col);
        out += fmt::format("\x1b[2K{}\n", line);
        at = end + 1;
      }
      std::fputs(out.c_str(), stderr);
      before = now;
    }
    if (lines_drawn > 0) std::fputs(fmt::format("\x1b[{}F\x1b[J", lines_drawn).c_str(), stderr);
  }

  const Engine& engine_;
  std::mutex mu_;
  std::condition_variable over_;
  bool is_over_ = false;  // guarded by mu_
  std::thread thread_;    // last member
};

int report_usage_error(const Error& error) {
  fmt::print(stderr, "framemill: {}\n", error.message());
  return 2;
}

}  // namespace

int run_command(const std::vector<std::string>& args) {
  const Result<RunOptions> options = parse_run_options(args);
  if (!options) return report_usage_error(options.error());
  if (options->is_help_wanted) {
    fmt::print("{}", run_help());
    return 0;
  }
  log_to_stderr(options->log_level);

  const std::string& summary = options->settings.output.summary;
  if (!summary.empty()) {
    const Result<void> writable = check_summary_path(summary);
    if (!writable) return report_usage_error(writable.error());
  }
  const SystemClock clock;
  std::unique_ptr<Engine> engine;  // outlives the watch
  SignalWatch signals("the summary was not written");
  {
    Result<std::unique_ptr<Engine>> created = Engine::create(options->settings, clock);
    if (!created) return report_usage_error(created.error());
    engine = std::move(*created);
  }
  signals.watch([&engine] {
    spdlog::info("stopping; press Ctrl-C again to end at once");
    engine->request_stop();
  });
  // Said only to whoever asked for an address.
  if (const std::string& listen = options->settings.server.listen;
      listen != "off" && listen != ServerSettings{}.listen) {
    spdlog::info("nothing listens at {}: HTTP API and dashboard are not part of this version",
                 listen);
  }
  engine->start();
  {
    std::unique_ptr<LiveTable> table;
    if (isatty(STDERR_FILENO) != 0) table = std::make_unique<LiveTable>(*engine);
    engine->wait();
  }
  const RunReport report = engine->finish();

  RunReport before;
  std::fputs(format_run_table(report, rates_between(before, report), SIZE_MAX).c_str(), stderr);
  for (const std::string& path : report.snapshots) fmt::print(stderr, "picture: {}\n", path);
  bool has_failed = false;
  for (const std::string& line : report.failures()) {
    fmt::print(stderr, "failed: {}\n", line);
    has_failed = true;
  }
  if (!summary.empty()) {
    if (const Result<void> written = write_summary(report, summary); !written) {
      fmt::print(stderr, "failed: {}\n", written.error().message());
      has_failed = true;
    }
  }
  const int status = has_failed ? 1 : 0;
  if (report.is_device_hung) {
    std::fflush(nullptr);
    _exit(status);  // leaving in order would wait for the device for ever
  }
  return status;
}

}  // namespace framemill
