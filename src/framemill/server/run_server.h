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
#include "framemill/server/static_files.h"

namespace framemill {

/// What a run shows over HTTP: API, stream, metrics and dashboard. Listens before there is an
/// engine, so that a taken port is told at once and readiness can be asked while models load.
///   create() ─► EngineHooks::on_answer = take_answer ─► attach(engine) ─► ... ─► stop()
/// The engine's part of the work is take_answer(): two short locks and a copy without picture.
/// Thread-safety: take_answer() and take_alarm() from any thread, the others from one.
class RunServer {
 public:
  struct Options {
    ServerSettings settings;  ///< `listen` is not "off"
    std::span<const StaticFile> files;
    std::string config_path;  ///< empty: none
  };
  /// Errors: those of HttpServer::create(); kInvalidArgument for a wrong network or an audit log
  /// that cannot be written.
  static Result<std::unique_ptr<RunServer>> create(const Options& options, const Clock& clock);
  ~RunServer();

  void take_answer(const Answer& answer);
  void take_alarm(const AlarmEvent& event);
  /// The run begins. `engine` outlives stop(). `reload`: reads the configuration again and applies
  /// it; empty: there is none.
  void attach(Engine& engine, CameraSettings defaults,
              std::function<Result<CameraChanges>()> reload,
              std::function<Result<void>(const std::string& alarm_id, const std::string& by)>
                  acknowledge_alarm = {});
  /// A reload that was not asked for over HTTP has happened, or was refused.
  void note_reload(const Result<CameraChanges>& changes, const CameraSettings& defaults,
                   std::string_view by);
  /// Ends all connections. Idempotent.
  void stop();
  /// As it is reached: "127.0.0.1:8460".
  [[nodiscard]] std::string address() const;

 private:
  struct State;
  explicit RunServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace framemill
