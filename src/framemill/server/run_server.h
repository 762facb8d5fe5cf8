#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/core/alarm.h"
#include "framemill/engine/engine.h"
#include "framemill/server/config_actions.h"
#include "framemill/server/static_files.h"

namespace framemill {

/// What a run shows over HTTP: API, stream, metrics and dashboard. Listens before there is an
/// engine, so that a taken port is told at once and readiness can be asked while models load.
///   create() ─► EngineHooks::on_answer = take_answer ─► open_databases() ─► Engine::start()
///            ─► attach(engine) ─► ... ─► stop()
/// The engine's part of the work is take_answer(): two short locks and a copy without picture.
/// Thread-safety: take_answer() and take_alarm() from any thread, the others from one.
class RunServer {
 public:
  struct Options {
    ServerSettings settings;  ///< `listen` is not "off"
    std::span<const StaticFile> files;
    std::string config_path;  ///< empty: none
    bool is_config_watched = false;
    /// Databases of sqlite sinks; empty: none.
    std::string answers_path;  ///< of one that keeps answers, for queries
    std::string events_path;   ///< where the server keeps its events, too
    Duration events_keep{0};   ///< older ones are deleted; 0: all stay
  };
  /// Errors: those of HttpServer::create(); kInvalidArgument for a wrong network or an audit log
  /// that cannot be written.
  static Result<std::unique_ptr<RunServer>> create(const Options& options, const Clock& clock);
  ~RunServer();

  void take_answer(const Answer& answer);
  void take_alarm(const AlarmEvent& event);
  /// Those of the engine's sinks, where answers and events are kept. After Engine::create(), which
  /// makes their tables, and before its start(), whose first events are kept, too.
  void open_databases();
  /// The run begins. `engine` outlives stop(), and so does what `config` uses.
  void attach(Engine& engine, CameraSettings defaults, ConfigActions config,
              std::function<Result<void>(const std::string& alarm_id, const std::string& by)>
                  acknowledge_alarm = {});
  /// Of cameras that are added from now on.
  void set_defaults(const CameraSettings& defaults);
  /// A reload that was not asked for over HTTP has happened, or was refused.
  void note_reload(const Result<CameraChanges>& changes, std::string_view by);
  /// Ends all connections. Idempotent.
  void stop();
  /// As HttpServer::prepare_identity().
  [[nodiscard]] Result<std::function<void()>> prepare_identity();
  /// As it is reached: "http://127.0.0.1:8460/".
  [[nodiscard]] std::string url() const;

 private:
  struct State;
  explicit RunServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace framemill
