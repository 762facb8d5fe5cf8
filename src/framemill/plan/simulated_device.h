#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/metrics/latency_histogram.h"
#include "framemill/plan/baseline_dispatch.h"
#include "framemill/plan/scene_trace.h"
#include "framemill/plan/service_draws.h"
#include "framemill/sched/dispatch_trace.h"
#include "framemill/sched/live_dispatch.h"

namespace framemill {

/// What happens in front of cameras, as far as carried boxes suffer from it: calm and active spells
/// of random length. The rates are set so that a share of .2 inferred evenly loses .026 of the
/// fidelity, as measured on real clips. A recorded trace takes its place where there is one.
struct SceneModel {
  struct State {
    double seconds = 0;          ///< mean length of a spell
    double objects = 0;          ///< in view
    double loss_per_frame = 0;   ///< fidelity that carried boxes lose with each sampled frame
    double drift_per_frame = 0;  ///< what the policy sees of it, see ObjectDoubt
    double unexplained_per_frame = 0;
  };
  State calm{.seconds = 40,
             .objects = 2,
             .loss_per_frame = .008,
             .drift_per_frame = .006,
             .unexplained_per_frame = .002};
  State active{.seconds = 10,
               .objects = 6,
               .loss_per_frame = .033,
               .drift_per_frame = .10,
               .unexplained_per_frame = .04};
  bool is_always_active = false;
};

/// A camera that comes from a device which was lost.
struct TakenOver {
  Duration blind_until{0};              ///< frames captured before have failed
  std::optional<Duration> answered_at;  ///< its last answer in time, over there
};

struct SimulatedCamera {
  DispatchCamera dispatch;  ///< period > 0
  LaneIndex lane = 0;
  DeviceLoad load;                   ///< its own part of what the device is asked for
  Duration from{0};                  ///< it sends frames from here on,
  Duration until = Duration::max();  ///< and up to here
  double rate_factor = 1;            ///< frames a second beside those configured
  double fps = 0;                    ///< samples are frames of this rate; 0: at any moment, evenly
  Duration ingest{0};                ///< from capture to the scheduler: decoding, carrying boxes
  std::optional<double> phase;       ///< of its period, 0..1; none: drawn
  /// Place in SimulatedDevice::trace: its frames come when that camera's came, and where it has
  /// motion also move as that camera's did.
  std::optional<std::size_t> traced;
  double weight = 1;  ///< of what it loses in the fidelity of its class: its objects over the mean
  std::optional<TakenOver> taken_over;  ///< then it counts as a camera where it was before
};

/// From `at` on; until the next one.
struct FactorChange {
  Duration at{0};
  double factor = 1;
};

/// From `at` on batches take these times; until the next one.
struct LanesChange {
  Duration at{0};
  std::vector<ServiceDraws> lanes;  ///< of the same models
};

struct SimulatedDevice {
  std::vector<SimulatedCamera> cameras;    ///< at least one
  std::vector<ServiceDraws> lanes;         ///< one a model
  std::vector<LanesChange> lanes_changes;  ///< ascending
  double share = 1;                  ///< of the frames of adaptive and hold cameras, 0 < share <= 1
  double audit_share = .05;          ///< of the inferences of adaptive cameras
  std::optional<Baseline> baseline;  ///< none: the engine's own policy
  SceneModel scenes;
  std::shared_ptr<const SceneTrace> trace;  ///< of the cameras with `traced`
  Duration length = std::chrono::seconds(60);
  /// Only frames captured from `count_from` until `count_until` are in the figures by class: those
  /// before warm the device up, those after keep it busy while the last ones end.
  Duration count_from = Duration::min();
  Duration count_until = Duration::max();
  Duration jitter = std::chrono::milliseconds(5);  ///< arrivals come up to so much later
  Duration timer_slip = std::chrono::milliseconds(1);
  double phase_spread = 1;  ///< of a period, which cameras begin within; 0: all in step
  /// Batches run one after the other, as on most GPUs; else those in flight share the device.
  bool is_serial = false;
  std::vector<FactorChange> speed;  ///< of the device, by time; 0: it stands still
  std::vector<FactorChange> rate;   ///< of all cameras
  std::uint64_t seed = 1;
};

/// What became of the cameras of one priority. Sums and histograms only, so that they can be added.
struct ClassFigures {
  std::int64_t cameras = 0;
  std::int64_t sampled = 0;
  // Each sampled frame is one of these.
  std::int64_t inferred = 0;
  std::int64_t propagated = 0;
  std::int64_t reused = 0;
  std::int64_t superseded = 0;
  std::int64_t late = 0;
  std::int64_t failed = 0;
  std::int64_t in_flight = 0;    ///< at the end
  std::int64_t not_on_time = 0;  ///< answers after their deadline
  std::int64_t inferred_on_time = 0;
  double fidelity_sum = 0;  ///< expected, over the frames that ended
  LatencyHistogram inferred_latency;
  LatencyHistogram answer_latency;  ///< of any origin
  /// Between answers in time of a camera: under full between inferences, else of any origin. In
  /// periods of the camera, one as a second.
  LatencyHistogram gap_periods;
  Duration worst_gap{0};
  /// Answers on time by second of the run; `inferred` those by the model.
  std::vector<std::int64_t> on_time_by_second;
  std::vector<std::int64_t> inferred_by_second;

  [[nodiscard]] std::int64_t outcomes() const {
    return inferred + propagated + reused + superseded + late + failed + in_flight;
  }
  void merge(const ClassFigures& other);
};

/// Where a camera was when the device ended, or when it left.
struct CameraEnd {
  Duration next_frame{0};
  std::optional<Duration> answered_at;  ///< its last answer in time
};

struct DeviceFigures {
  /// By Priority; last a camera that floods, which would hide what it does to its class.
  std::array<ClassFigures, 4> classes;
  std::int64_t events = 0;      ///< arrivals, completions, timers
  std::int64_t inferences = 0;  ///< audits included
  std::int64_t audits = 0;
  std::vector<std::int64_t> inferences_of_lane;
  double busy_s = 0;            ///< summed over the slots
  double slot_s = 0;            ///< what there was
  std::vector<CameraEnd> ends;  ///< by camera; of one device, not merged
  /// Adds another device's, or another run's.
  void merge(const DeviceFigures& other);
};

/// Runs one device with its cameras through `length` of simulated time, event by event: arrivals
/// with phases and jitter, batches whose times are drawn from the measured distributions and shared
/// with those in flight beside them, timers that fire late. Every decision is LiveDispatch's, told
/// of events as the engine tells it. Deterministic: the same input gives the same figures. Pure,
/// any thread; O(events x log cameras). `recorder` is told of all that LiveDispatch decides.
[[nodiscard]] DeviceFigures simulate_device(const SimulatedDevice& device,
                                            DispatchRecorder recorder = {});
/// How that LiveDispatch was made, for a replay; its clock begins at 0.
[[nodiscard]] LiveDispatchOptions dispatch_options(const SimulatedDevice& device);

}  // namespace framemill
