#pragma once

#include <array>
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
#include "framemill/engine/answer_json.h"
#include "framemill/engine/answer_ledger.h"
#include "framemill/engine/audit_desk.h"
#include "framemill/engine/camera_session.h"
#include "framemill/engine/detection_cache.h"
#include "framemill/engine/device_pool.h"
#include "framemill/engine/environment.h"
#include "framemill/engine/sink_runner.h"
#include "framemill/engine/trace_writer.h"
#include "framemill/infer/backend.h"
#include "framemill/infer/detector.h"
#include "framemill/sched/dispatch_trace.h"
#include "framemill/sched/fidelity.h"

namespace framemill {

/// One camera as it stands.
struct CameraReport {
  CameraId id;
  CameraIndex index = 0;  ///< of its answers from now on; a change of the camera gives a new one
  Priority priority = Priority::kNormal;
  PolicyKind policy = PolicyKind::kFull;
  bool is_file = false;
  Duration slo{0};
  CameraStatus status;
  CameraCounts counts;
  std::optional<FidelityFigure> fidelity;  ///< policy adaptive
  std::optional<double> need;              ///< likewise, see SchedulerStatus
  std::string model;                       ///< as configured
  std::string rung;                        ///< variant or model it uses now
  std::int64_t rung_changes = 0;

  /// Whether one could be decoded since the run began.
  [[nodiscard]] bool has_given_picture() const;
};

/// What a file is that breaks off after some of its pictures.
enum class CutFiles { kAreFailures, kAreTaken };

/// Counts of all cameras, changed and removed ones included, by what each was when they were made:
/// its sums never fall, whatever becomes of a camera.
struct PartedCounts {
  std::array<std::array<LatencyHistogram, 3>, 3> latency;  ///< by Priority and Origin
  /// By model as configured, and purpose.
  std::vector<InferenceCounts> inferences;

  /// `counts` of a camera of this priority and model.
  void add(Priority priority, std::size_t model, const CameraCounts& counts);
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
  double over_budget = 0;        ///< inferences of critical cameras that it did not carry
  Duration inference_time{0};    ///< summed over batches
  std::string batch_rule;        ///< as configured
  std::size_t batch_frames = 1;  ///< to a batch at most, as it stands
  double batch_mean = 0;         ///< frames to a batch so far; 0 before the first
  std::int64_t batches = 0;      ///< so far
  std::size_t batches_max = 1;   ///< in flight at once, at which throughput peaks; of all devices
  std::vector<DeviceReport> devices;
  std::vector<ModelFacts> models;
  std::vector<std::string> model_names;           ///< as configured, by model index
  std::vector<std::vector<std::string>> ladders;  ///< variants of each model's rungs, best first
  Environment environment;
  std::vector<CameraReport> cameras;  ///< of the run as it is now
  std::int64_t removed_cameras = 0;
  CameraCounts removed;         ///< of those; part of the total
  SourceCounts removed_source;  ///< likewise
  std::vector<SinkCounts> sinks;
  std::optional<TraceCounts> trace;    ///< where one was asked for
  std::vector<std::string> snapshots;  ///< newest picture of each camera that has one
  CameraCounts total;
  PartedCounts parted;
  std::optional<FidelityFigure> fidelity;  ///< over the adaptive cameras; none without one
  std::optional<FidelityTargetReport> fidelity_target;  ///< where one is to be held
  bool is_stopped_early = false;                        ///< by a signal or a sink that died
  /// A batch never came back from its device. Destroying the engine would wait for it: after
  /// finish(), end the process instead.
  bool is_device_hung = false;

  /// captured = sum of the outcomes + in flight, for each camera and those that were removed.
  [[nodiscard]] bool is_conserved() const;
  /// Why the exit status is 1, one line each; empty: all done.
  [[nodiscard]] std::vector<std::string> failures(
      CutFiles cut_files = CutFiles::kAreFailures) const;
  /// Which cameras never gave a picture and why, one line each; without those of failures().
  [[nodiscard]] std::vector<std::string> never_seen() const;
};

/// How much a report is to say.
enum class ReportDetail : std::uint8_t {
  kFull,
  kQuick,  ///< fidelity of late (FidelityAccount), no pictures: for each second
};

/// What a caller inside the program may hang on a run.
struct EngineHooks {
  /// Outlives the engine: frames found there are not inferred again. For files at pace fast; runs
  /// that share it have the same cameras.
  DetectionCache* cache = nullptr;
  /// Engine::models() of an engine with the same models, devices, streams and threads in its
  /// settings: they are used in place of loading them again. Empty: they are loaded.
  std::vector<std::shared_ptr<const Detector>> models;
  /// The option that named the cameras' sources, for messages; empty: a configuration did.
  std::string source_option;
  /// Called for each answer, in frame order for each camera, from several threads at once for
  /// several cameras; must not call back.
  std::function<void(const Answer&)> on_answer;
  /// Pace live: called for all that is decided, in order, under the scheduler's lock: be quick.
  DispatchRecorder on_dispatch;
  /// Called for each change of an alarm, in order, at least once, from one thread.
  std::function<void(const AlarmEvent&)> on_alarm;
};

/// What a change of the configuration did.
struct CameraChanges {
  std::vector<CameraId> added, changed, removed;
  std::size_t unchanged = 0;
};

/// A whole run: cameras, models, scheduler, sinks. create(), start(), wait(), finish().
/// Cameras may come, change and go between start() and finish() at pace live. Each change is
/// checked as a whole before anything is touched, takes place one at a time, and leaves other
/// cameras alone. What was captured of a camera that goes is still answered, and its counts stay.
/// Indices are never used twice; seq, epoch and frame_index go on where a camera changes or comes
/// back. Thread-safety: start(), wait() and finish() from one thread, the others from any.
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
  /// Stops the cameras, answers what was taken (within 3 s), empties the sinks, and reports. Waits
  /// for no source: some cannot be interrupted, such as one whose host name is being looked up.
  RunReport finish();
  /// For an end without finish(): what has been answered so far gets to its sinks, as far as they
  /// can within `patience`, and nothing after it. Any thread, as long as the engine lives.
  void empty_sinks(Duration patience);
  /// After finish(): returns once all sources have let go. False where one has not within
  /// `patience`: destroying the engine would wait for it.
  [[nodiscard]] bool join(Duration patience);

  [[nodiscard]] RunReport report(ReportDetail detail = ReportDetail::kFull) const;

  // Changes of cameras. Errors of all: kFailedPrecondition at pace fast, kUnavailable before
  // start() and while the run ends, kNotFound for an unknown id.
  /// Errors: kInvalidArgument, names place and remedy; kFailedPrecondition where the id is taken.
  /// `may_connect_to` holds as long as the camera keeps its address.
  Result<void> add_camera(const CameraSettings& camera, AddressFilter may_connect_to = {});
  /// The camera of this id gets these settings: it is disconnected and connects anew. Waits for its
  /// last answers. `may_connect_to`: of its new address; one that stays keeps what it had. Errors:
  /// kInvalidArgument.
  Result<void> change_camera(const CameraSettings& camera, AddressFilter may_connect_to = {});
  Result<void> remove_camera(const CameraId& id);
  /// Disconnects until resume or restart. Errors: kFailedPrecondition where the camera has ended.
  Result<void> pause_camera(const CameraId& id);
  Result<void> resume_camera(const CameraId& id);
  /// Disconnects and connects again, also one that has ended.
  Result<void> restart_camera(const CameraId& id);
  /// Adds, changes and removes what differs between the cameras of two configurations; others, and
  /// what was changed by other means, stay. Everything else of the configurations must be equal.
  /// Errors: kInvalidArgument with all problems; then nothing was changed.
  Result<CameraChanges> reconfigure(const RunSettings& before, const RunSettings& after);

  /// To list and acknowledge alarms, any thread; lives as long as the engine.
  [[nodiscard]] AlarmDesk& alarms();
  /// The settings of all cameras as they are now, secrets included.
  [[nodiscard]] std::vector<CameraSettings> camera_settings() const;
  /// Names of all cameras that the run has had, by CameraIndex; as long as the engine lives.
  [[nodiscard]] const CameraDirectory& camera_directory() const;
  /// The camera's next answer carries its picture, see EngineHooks::on_answer.
  void want_picture(CameraIndex camera);
  /// The loaded models, in the order of the settings, each on each of its devices; then likewise
  /// the other rungs of their ladders.
  [[nodiscard]] std::vector<std::shared_ptr<const Detector>> models() const;

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace framemill
