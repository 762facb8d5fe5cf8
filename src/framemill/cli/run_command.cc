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
#include "framemill/base/thread_name.h"
#include "framemill/cli/config_sync.h"
#include "framemill/cli/log_to_stderr.h"
#include "framemill/cli/run_options.h"
#include "framemill/cli/run_table.h"
#include "framemill/cli/signal_watch.h"
#include "framemill/engine/engine.h"
#include "framemill/engine/run_summary.h"
#include "framemill/server/dashboard_files.h"
#include "framemill/server/run_server.h"

namespace framemill {
namespace {

/// For sources to let go once the summary is written.
constexpr Duration kSourcePatience = std::chrono::milliseconds(800);
constexpr Duration kStartPatience = std::chrono::seconds(4);        // of a signal, for the models
constexpr Duration kLastPatience = std::chrono::milliseconds(500);  // for the sinks

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
    name_this_thread("table");
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

bool is_watched(const RunOptions& options) {
  return !options.config_path.empty() && options.settings.server.is_watched;
}

/// Null where nobody listens. A port that is taken is an error only where it was asked for: a
/// second run on a machine goes on without.
Result<std::unique_ptr<RunServer>> make_server(const RunOptions& options, const Clock& clock) {
  const ServerSettings& server = options.settings.server;
  if (server.listen == "off") return std::unique_ptr<RunServer>();
  RunServer::Options server_options{.settings = server,
                                    .files = dashboard_files(),
                                    .config_path = options.config_path,
                                    .is_config_watched = is_watched(options)};
  for (const SinkSettings& sink : options.settings.sinks) {
    if (sink.type != "sqlite" || !server_options.events_path.empty()) continue;
    server_options.events_path = sink.path;
    server_options.events_keep = sink.keep;
    if (sink.send != "alarms") server_options.answers_path = sink.path;
  }
  Result<std::unique_ptr<RunServer>> made = RunServer::create(server_options, clock);
  if (made || server.is_listen_given || made.error().code() != ErrorCode::kUnavailable) return made;
  spdlog::warn("no dashboard and no API: {}", made.error().message());
  return std::unique_ptr<RunServer>();
}

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
  const SystemClock clock;
  std::unique_ptr<RunServer> server;  // outlives the engine, which tells it of each answer
  std::unique_ptr<Engine> engine;
  std::unique_ptr<ConfigSync> config;  // outlives the watch
  const bool has_config = !options->config_path.empty();
  SignalWatch signals({.loss = "the summary was not written",
                       .has_hangup = has_config,
                       .start_patience = kStartPatience});
  {
    // First, so that a taken address is told at once, and readiness can be asked from now on.
    Result<std::unique_ptr<RunServer>> listening = make_server(*options, clock);
    if (!listening) return report_usage_error(listening.error());
    server = std::move(*listening);
    EngineHooks hooks;
    if (!has_config) hooks.source_option = "--source";
    if (server) {
      hooks.on_answer = [&server](const Answer& answer) { server->take_answer(answer); };
      hooks.on_alarm = [&server](const AlarmEvent& event) { server->take_alarm(event); };
    }
    Result<std::unique_ptr<Engine>> created =
        Engine::create(options->settings, clock, std::move(hooks));
    if (!created) return report_usage_error(created.error());
    engine = std::move(*created);
  }
  if (has_config) config = std::make_unique<ConfigSync>(args, *options, *engine, server.get());
  signals.watch({.stop =
                     [&engine] {
                       spdlog::info("stopping; press Ctrl-C again to end at once");
                       engine->request_stop();
                     },
                 .hasten = [&engine] { engine->empty_sinks(kLastPatience); },
                 .reload =
                     [&config] {
                       if (config) config->ask("SIGHUP");
                     }});
  if (server) server->open_databases();
  engine->start();
  if (server) {
    ConfigActions actions;
    if (config) {
      actions = {.reload = [&config] { return config->reload(); },
                 .save = [&config] { return config->save(); },
                 .unsaved = [&config] { return config->unsaved(); }};
    }
    server->attach(*engine, options->settings.defaults, std::move(actions),
                   [&engine](const std::string& id, const std::string& by) -> Result<void> {
                     const Result<Alarm> done = engine->alarms().acknowledge(id, by);
                     if (!done) return fail(done.error());
                     return {};
                   });
    spdlog::info("listening at {}", server->url());
  }
  // At pace fast nothing can change, and a run ends soon.
  const bool can_change = engine->report(ReportDetail::kQuick).pace == Pace::kLive;
  if (config && can_change && is_watched(*options)) config->watch();
  {
    std::unique_ptr<LiveTable> table;
    if (isatty(STDERR_FILENO) != 0) table = std::make_unique<LiveTable>(*engine);
    engine->wait();
  }
  const RunReport report = engine->finish();

  RunReport before;
  std::fputs(format_run_table(report, rates_between(before, report), SIZE_MAX).c_str(), stderr);
  for (const std::string& path : report.snapshots) fmt::print(stderr, "picture: {}\n", path);
  for (const std::string& line : report.never_seen()) fmt::print(stderr, "{}\n", line);
  bool has_failed = false;
  for (const std::string& line : report.failures()) {
    fmt::print(stderr, "failed: {}\n", line);
    has_failed = true;
  }
  // Also where no source gave a frame: an older summary would be taken for this run's.
  if (!summary.empty()) {
    if (const Result<void> written = write_summary(report, summary); !written) {
      fmt::print(stderr, "failed: {}\n", written.error().message());
      has_failed = true;
    }
  }
  const int status = has_failed ? 1 : 0;
  if (report.is_device_hung || !engine->join(kSourcePatience)) {
    std::fflush(nullptr);
    _exit(status);  // leaving in order would wait for the device or the source, perhaps for ever
  }
  if (server) server->stop();
  return status;
}

}  // namespace framemill
