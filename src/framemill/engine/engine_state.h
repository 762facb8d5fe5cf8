#pragma once

// What an Engine is made of; for engine*.cc alone.

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/engine/busy_meter.h"
#include "framemill/engine/engine.h"
#include "framemill/engine/frame_scheduler.h"
#include "framemill/engine/trace_writer.h"
#include "framemill/metrics/gpu_meter.h"

namespace framemill {

class JsonLinesSink;

struct Engine::State {
  /// A camera of the run as it is now. One that is changed gets a new index, ledger and session.
  struct Camera {
    CameraIndex index = 0;
    CameraSettings settings;
    AddressFilter may_connect_to;  ///< empty: anywhere, as what stands in the configuration
    std::size_t model = 0;
    PolicyKind policy = PolicyKind::kFull;
    CameraPosition first;
    bool is_paused = false;                  ///< from its start on
    AnswerLedger* ledger = nullptr;          ///< one of `ledgers`
    std::unique_ptr<CameraSession> session;  ///< null before start()
    /// What was counted under its id by indices before this one; null: nothing.
    std::unique_ptr<CameraCounts> counts_before;
    SourceCounts source_before;
  };
  /// An index that is no longer used, until nothing of it is on its way any more.
  struct Retired {
    std::unique_ptr<Camera> camera;
    bool is_replaced = false;  ///< its counts go on under its id
  };
  /// Cameras that are gone, all together.
  struct Removed {
    std::int64_t cameras = 0;
    CameraCounts counts;
    SourceCounts source;
  };

  State(const RunSettings& run_settings, const Clock& run_clock, EngineHooks run_hooks)
      : settings(run_settings), clock(run_clock), hooks(std::move(run_hooks)) {}

  // Constant after create().
  const RunSettings settings;  ///< as the run began: its cameras may have changed
  const Clock& clock;
  const EngineHooks hooks;
  std::string run_id;
  WallTime started_at;
  TimePoint started_mono;
  ProcessUsage usage_at_start;
  Pace pace = Pace::kLive;
  Environment environment;
  std::vector<std::vector<std::size_t>> ladders;  ///< by model, see FrameSchedulerOptions
  /// Of the batches measured by start(), the one that took longest; 0: nothing was measured.
  Duration longest_service{0};
  std::set<std::size_t> unmeasured_models;  ///< their inputs are not known before their cameras

  std::atomic<bool> is_stopped_early{false};
  std::atomic<bool> is_device_hung{false};
  std::atomic<bool> is_house_kept{false};  ///< the housekeeper's thread is at its end
  std::atomic<double> share{1.0};          ///< by the settings; see FrameScheduler::budget_share()
  Mutex decoders_mu;
  /// By card; null: it has none.
  std::map<int, std::shared_ptr<const HardwareDecoder>> hardware_decoders GUARDED_BY(decoders_mu);
  /// Constant once they are loaded; shared by the cameras.
  std::vector<std::shared_ptr<const CameraNames::Labels>> labels_of_model;
  Mutex changes_mu;  ///< held through a change of cameras, so that there is one at a time
  mutable Mutex mu;
  CondVar changed;
  bool is_stop_requested GUARDED_BY(mu) = false;
  bool are_sources_done GUARDED_BY(mu) = false;
  bool is_finishing GUARDED_BY(mu) = false;  ///< no change of cameras any more
  std::optional<RunReport> final_report GUARDED_BY(mu);
  std::vector<Retired> retired GUARDED_BY(mu);
  std::unique_ptr<Removed> removed GUARDED_BY(mu);  ///< null: none
  PartedCounts at_rest GUARDED_BY(mu);              ///< of all indices that are at rest
  /// Of ids that are not in use: where their frames had got to.
  std::map<CameraId, CameraPosition> last_positions GUARDED_BY(mu);

  // Everything below synchronizes itself. In this order of destruction, last first: sessions feed
  // the scheduler, which feeds the pool, which feeds the ledgers, which feed the sinks.
  CameraDirectory names;
  std::vector<std::unique_ptr<SinkRunner>> sinks;
  std::vector<JsonLinesSink*> line_files;  ///< among them
  std::unique_ptr<AlarmDesk> alarms;
  GrowingList<std::unique_ptr<AnswerLedger>> ledgers;  ///< by CameraIndex; retired ones are light
  std::unique_ptr<AuditDesk> audits;
  std::unique_ptr<TraceWriter> trace;  ///< null: none was asked for
  std::unique_ptr<DevicePool> pool;
  std::unique_ptr<FrameScheduler> scheduler;
  std::vector<std::unique_ptr<Camera>> cameras GUARDED_BY(mu);  ///< in the order of configuration
  std::thread waiter;       ///< tells wait() when the scheduler has nothing left
  std::thread housekeeper;  ///< ends retired cameras; at pace live

  Result<void> load_models();
  Result<void> open_sinks();
  Result<void> open_trace();
  /// The rules of all cameras; the book of alarms where there is one.
  Result<void> make_alarms() EXCLUDES(mu);
  std::pair<RunStatus::Camera, CameraCondition> look_at(CameraIndex index, bool wants_fidelity)
      EXCLUDES(mu);
  /// Of the busiest device, since it was last called. From one thread.
  std::optional<double> device_busy();
  BusyMeter busy_meter;
  std::unique_ptr<GpuMeter> gpus;  ///< where the run uses one
  Result<void> make_cameras() EXCLUDES(mu);
  /// What of `camera` depends on its model: errors kInvalidArgument. No effect.
  Result<std::vector<bool>> wanted_classes(const CameraSettings& camera) const;
  [[nodiscard]] std::size_t model_of(const CameraSettings& camera) const;
  /// Gives the camera its index, name and ledger.
  Result<std::unique_ptr<Camera>> make_camera(const CameraSettings& camera,
                                              const CameraPosition& first);
  [[nodiscard]] ScheduledCamera scheduled(const Camera& camera) const;
  /// Motion that a camera keeps for results that come late.
  [[nodiscard]] std::size_t ring_frames(const CameraSettings& camera) const;
  /// From the start of the run, for each camera: beside critical ones the others wait their turn.
  [[nodiscard]] std::vector<Duration> opening_times() const REQUIRES(mu);
  void start_session(Camera& camera, Duration start_delay);
  /// NVIDIA's decoder, null where there is none. The first call looks, and logs what is missing.
  /// Of the card that is to decode for the camera; null: the processor has to.
  [[nodiscard]] std::shared_ptr<const HardwareDecoder> hardware_decoder(const Camera& camera)
      EXCLUDES(decoders_mu);
  /// The share that the budget comes to with these cameras, and what it may be at least.
  struct ShareBounds {
    double share = 1.0;
    double least = 0;
  };
  [[nodiscard]] ShareBounds share_bounds(const std::vector<CameraSettings>& all) const;
  /// What is to be held, and within which bounds; empty where nothing is.
  std::optional<FidelityControllerOptions> fidelity_target(const ShareBounds& bounds) const;
  /// The largest batch that will be asked for.
  [[nodiscard]] std::size_t batch_max() const;
  /// On graphics devices all sizes of batches up to `largest` side by side: each takes seconds. On
  /// a processor nothing, since there few are wanted, and they come as they are needed.
  void make_ready(DeviceIndex device, LaneIndex lane, std::size_t largest);
  /// Service time of batches of `batch` on a device: adds it to `times`, returns the least seen.
  Result<Duration> measure(DeviceIndex device, LaneIndex lane, std::size_t batch,
                           ServiceTimes& times);
  /// Tries ever larger batches, see KneeSearch, for about kKneePatience; those above the knee are
  /// unloaded again.
  Result<std::size_t> measure_knee(DeviceIndex device, LaneIndex lane, ServiceTimes& times);
  /// Warms all rungs of all models up, and leaves out those that are not cheaper.
  void prepare_models(FrameSchedulerOptions& options);
  /// Warms the lane up on a device; what was measured goes into `to`.
  Result<void> prepare_lane(DeviceIndex device, LaneIndex lane, DispatchDevice& to);
  /// The same on all devices that have it; the least time a picture takes on one of them, 0 where
  /// none could run it.
  Duration prepare_lane(const std::string& model, LaneIndex lane, FrameSchedulerOptions& options);
  void publish(Answer&& answer);
  void stop(bool is_early) EXCLUDES(mu);
  [[nodiscard]] bool is_stop_wanted() const EXCLUDES(mu);

  // Changes of cameras while the run goes on; changes_mu is held.
  /// Whether there may be changes now, and `wanted` may be the cameras of the run. No effect.
  Result<void> check_change(const std::vector<CameraSettings>& wanted) const EXCLUDES(mu);
  [[nodiscard]] std::vector<CameraSettings> current_settings() const EXCLUDES(mu);
  /// Its rules are judged from now on; a disk that fails costs alarms, not the camera.
  void watch(const Camera& camera);
  Result<void> add(const CameraSettings& camera, AddressFilter may_connect_to) EXCLUDES(mu);
  /// `may_connect_to`: where the address is another than before.
  Result<void> change(const CameraSettings& camera, AddressFilter may_connect_to) EXCLUDES(mu);
  void remove(const CameraId& id) EXCLUDES(mu);
  /// Has the session of camera `id` act; false from it: the camera has ended.
  Result<void> redirect(const CameraId& id, const std::function<bool(CameraSession&)>& act)
      EXCLUDES(changes_mu, mu);
  [[nodiscard]] bool is_ending() const EXCLUDES(mu);
  /// Until nothing of a silenced camera is at a model, for kDrainPatience at most.
  void wait_for_last_answers(const AnswerLedger& ledger) const EXCLUDES(mu);
  /// Stops its session and takes what waits of it from the scheduler.
  void silence(Camera& camera);
  void update_shares() EXCLUDES(mu);
  /// Ends retired cameras one by one until finish().
  void keep_house() EXCLUDES(mu);
  /// Whether nothing of a retired camera, whose session has ended, is on its way.
  [[nodiscard]] bool is_idle(const Camera& camera) const;

  /// After finish(): whether each source has let go, so that join() returns at once.
  [[nodiscard]] bool have_cameras_left() const EXCLUDES(mu);
  void join() EXCLUDES(mu);

  RunReport make_report(ReportDetail detail) const REQUIRES(mu);
  /// Adds to `parted` what this index has counted.
  CameraReport report_of(const Camera& camera, const SchedulerStatus& status, ReportDetail detail,
                         PartedCounts& parted) const REQUIRES(mu);
};

}  // namespace framemill
