#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/core/camera.h"
#include "framemill/core/policy.h"
#include "framemill/engine/alarms/alarm_desk.h"
#include "framemill/engine/answer_ledger.h"
#include "framemill/engine/audit_desk.h"
#include "framemill/engine/camera_session.h"
#include "framemill/engine/detection_cache.h"
#include "framemill/engine/environment.h"
#include "framemill/engine/sink_runner.h"
#include "framemill/engine/trace_writer.h"
#include "framemill/infer/backend.h"
#include "framemill/infer/detector.h"
#include "framemill/sched/fidelity.h"

namespace framemill {

/// One camera as it stands.
struct CameraReport {
  CameraId id;
  Priority priority = Priority::kNormal;
  PolicyKind policy = PolicyKind::kFull;
  bool is_file = false;
  Duration slo{0};
  CameraStatus status;
  CameraCounts counts;
  std::optional<FidelityFigure> fidelity;  ///< policy adaptive
  std::string rung;                        ///< variant or model it uses now
  std::int64_t rung_changes = 0;
};

/// A run as it stands; final after Engine::finish().
struct RunReport {
  std::string run_id;
  WallTime started_at;
  Duration wall{0};
  ProcessUsage usage;  ///< of the process since the run started, peak memory since the process did
  Pace pace = Pace::kLive;
  PolicyKind policy = PolicyKind::kFull;
  InferenceBudget budget;
  double inference_share = 1.0;  ///< what the budget comes to
  Duration inference_time{0};    ///< summed over batches
  std::string batch_rule;        ///< as configured
  std::size_t batch_frames = 1;  ///< to a batch at most, as it stands
  double batch_mean = 0;         ///< frames to a batch so far; 0 before the first
  std::vector<ModelFacts> models;
  std::vector<std::string> model_names;  ///< as configured, by model index
  Environment environment;
  std::vector<CameraReport> cameras;
  std::vector<SinkCounts> sinks;
  std::optional<TraceCounts> trace;    ///< where one was asked for
  std::vector<std::string> snapshots;  ///< newest picture of each camera that has one
  CameraCounts total;
  std::optional<FidelityFigure> fidelity;  ///< over the adaptive cameras; none without one
  std::optional<FidelityTargetReport> fidelity_target;  ///< where one is to be held
  bool is_stopped_early = false;                        ///< by a signal or a sink that died
  /// A batch never came back from its device. Destroying the engine would wait for it: after
  /// finish(), end the process instead.
  bool is_device_hung = false;

  /// captured = sum of the outcomes + in flight, for each camera.
  [[nodiscard]] bool is_conserved() const;
  /// Why the exit status is 1, one line each; empty: all done.
  [[nodiscard]] std::vector<std::string> failures() const;
};

/// What a caller inside the program may hang on a run.
struct EngineHooks {
  /// Outlives the engine: frames found there are not inferred again. For files at pace fast; runs
  /// that share it have the same cameras.
  DetectionCache* cache = nullptr;
  /// Engine::models() of an engine with the same models, streams and threads in its settings: they
  /// are used in place of loading them again. Empty: they are loaded.
  std::vector<std::shared_ptr<const Detector>> models;
  /// Called for each answer, in frame order for each camera, from several threads at once for
  /// several cameras; must not call back.
  std::function<void(const Answer&)> on_answer;
};

/// A whole run: cameras, models, scheduler, sinks. create(), start(), wait(), finish().
/// Thread-safety: request_stop() and report() from any thread, the others from one.
class Engine {
 public:
  /// Loads the models and opens what is written to; nothing is read from a camera yet.
  /// Errors: kInvalidArgument and those of Detector::load(); the message names the setting's place.
  static Result<std::unique_ptr<Engine>> create(const RunSettings& settings, const Clock& clock,
                                                EngineHooks hooks = {});
  ~Engine();

  /// Starts the cameras.
  void start();
  /// Returns when all sources have ended, the time is over, or request_stop() was called.
  void wait();
  /// Makes wait() return soon. Idempotent.
  void request_stop();
  /// Stops the cameras, answers what was taken (within 3 s), empties the sinks, and reports.
  RunReport finish();

  [[nodiscard]] RunReport report() const;
  /// To list and acknowledge alarms, any thread; lives as long as the engine.
  [[nodiscard]] AlarmDesk& alarms();
  /// The loaded models, in the order of the settings; then the other rungs of their ladders.
  [[nodiscard]] std::vector<std::shared_ptr<const Detector>> models() const;

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace framemill
