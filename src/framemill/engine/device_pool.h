#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/engine/detector_pool.h"
#include "framemill/engine/inference_purpose.h"
#include "framemill/infer/detector.h"
#include "framemill/sched/device_health.h"
#include "framemill/sched/device_index.h"
#include "framemill/sched/service_times.h"

namespace framemill {

/// A device as a run is given it.
struct PooledDevice {
  std::string name;  ///< "CPU", "cuda:0"; "CPU#2" where a device is named twice. Unique
  /// By model index; null: it does not have that model. At least one.
  std::vector<std::shared_ptr<const Detector>> detectors;
};

/// A model at one input size that is out alone, on a device that serves others.
struct LaneOutReport {
  std::size_t model = 0;   ///< index
  std::string variant;     ///< Detector::variant_name()
  std::string last_error;  ///< of its batches and probes there
  Duration out_for{0};
  bool is_elsewhere = false;  ///< another device stands in
};

/// A model on a device as it stands.
struct HostedModel {
  bool is_hosted = false;    ///< the device has it
  bool is_serving = false;   ///< neither the device nor one of the model's input sizes is out
  std::int64_t outages = 0;  ///< times that one of its input sizes was taken out alone
};

/// A device as it stands.
struct DeviceReport {
  std::string name;
  std::string device_name;  ///< as the device calls itself
  bool is_serving = true;
  OutReason reason = OutReason::kNone;  ///< why not
  std::string last_error;               ///< of a batch or a probe; empty: none so far
  Duration out_for{0};                  ///< of the present outage
  std::int64_t outages = 0;
  std::size_t batches_max = 1;  ///< in flight at once
  std::size_t batch_max = 1;    ///< frames that have not run out of memory
  std::int64_t batches = 0;
  double batch_mean = 0;  ///< frames to a batch; 0 before the first
  Duration inference_time{0};
  /// Finished, by model and its rungs, best first. The pool knows no ladders: there each model has
  /// one.
  std::vector<std::vector<InferenceCounts>> inferences;
  std::vector<std::vector<HostedModel>> hosted;  ///< likewise
  std::vector<LaneOutReport> lanes_out;          ///< out alone; empty where the device is out

  /// Times that one of its models was taken out alone, all together.
  [[nodiscard]] std::int64_t model_outages() const;
};

/// The devices behind one scheduler, a DetectorPool each, and what keeps them honest: a thread with
/// DeviceHealth takes a device out whose batches fail, hang or say that it is gone, has those
/// batches end as failed at once, sends it single pictures, loads its models anew where that does
/// not help, and takes it back. Where the machine's memory is short, the same thread unloads from
/// its processors what nobody has used for long, one model at a look. A lane that fails alone is
/// taken out alone: another device that has it stands in, and where there is none its batches end
/// as failed at once. Each batch ends exactly once, whatever its device does later. Thread-safety:
/// all members, any thread, after construction.
class DevicePool {
 public:
  using Done = DetectorPool::Done;
  /// Loads a model of a device anew; called from a thread of the pool.
  using Load = std::function<Result<std::shared_ptr<const Detector>>(DeviceIndex, std::size_t)>;
  struct Options {
    DetectionCache* cache = nullptr;  ///< see DetectorPool
    DeviceHealthPolicy health;
    Load load;                                      ///< none: models are never loaded anew
    Duration load_every = std::chrono::seconds(5);  ///< at most, while a device stays out
    /// Of the machine's memory; none: nobody looks. A card tells by itself when it has none left.
    std::function<bool()> is_memory_short;
    Duration look_at_memory_every = std::chrono::seconds(2);
  };
  struct State {
    bool is_serving = true;
    std::size_t batch_max = 1;
  };

  /// Each model has a device. Those of one model are alike: the same file.
  DevicePool(std::vector<PooledDevice> devices, const Clock& clock, Options options);
  DevicePool(std::vector<PooledDevice> devices, const Clock& clock)
      : DevicePool(std::move(devices), clock, Options{}) {}
  /// One device with all models.
  DevicePool(std::vector<std::shared_ptr<const Detector>> detectors, const Clock& clock);
  DevicePool(const DevicePool&) = delete;
  ~DevicePool();

  [[nodiscard]] std::size_t device_count() const { return devices_.size(); }
  [[nodiscard]] std::size_t model_count() const { return hosts_.size(); }
  /// As it was loaded first, on the first device that has it.
  [[nodiscard]] const Detector& detector(std::size_t model) const;
  [[nodiscard]] const std::string& name(DeviceIndex device) const { return names_[device]; }
  /// The devices that have `model`.
  [[nodiscard]] DeviceSet hosts(std::size_t model) const { return hosts_[model]; }
  /// Of the lane's results: Detector::variant_name().
  [[nodiscard]] std::string variant(LaneIndex lane) const EXCLUDES(mu_);
  /// As they were loaded first: model by model, each on each of its devices.
  [[nodiscard]] std::vector<std::shared_ptr<const Detector>> detectors_by_model() const;
  [[nodiscard]] DeviceSet hosts_of_lane(LaneIndex lane) const EXCLUDES(mu_);

  /// The lane for pictures of `picture_size` on `model`, the same on all devices; made on first
  /// use.
  [[nodiscard]] LaneIndex lane_for(std::size_t model, Size picture_size) EXCLUDES(mu_);
  [[nodiscard]] std::size_t lane_count() const EXCLUDES(mu_);
  /// Batches in flight at which throughput peaks; the caller keeps to it.
  [[nodiscard]] std::size_t batches_max(DeviceIndex device) const { return batches_max_[device]; }
  [[nodiscard]] std::size_t batches_max() const;
  /// The largest bucket (see kBatchBuckets) that the lane's model takes.
  [[nodiscard]] std::size_t batch_max(LaneIndex lane) const EXCLUDES(mu_);
  /// See DetectorPool.
  Result<void> warm_up(DeviceIndex device, LaneIndex lane, std::size_t batch, std::size_t count)
      EXCLUDES(mu_);
  /// See DetectorPool. Holds where the device is loaded anew, too.
  void unload_larger(DeviceIndex device, LaneIndex lane, std::size_t batch) EXCLUDES(mu_);

  /// Runs `jobs` (at least one, of one lane that the device has) as one batch. `done` is called
  /// once: from a thread of the pool, or from this call where the device is out, or the lane is and
  /// no other device can stand in.
  void submit(DeviceIndex device, LaneIndex lane, std::vector<InferenceJob> jobs, Done done)
      EXCLUDES(mu_);
  /// Devices that have the lane serve, but it fails on each of them: a batch of it is no use.
  [[nodiscard]] bool is_lane_out(LaneIndex lane) const EXCLUDES(mu_);

  /// Grows whenever states() changes.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  [[nodiscard]] std::vector<State> states() const EXCLUDES(mu_);
  [[nodiscard]] std::vector<DeviceReport> reports() const EXCLUDES(mu_);

  /// Waits for what is submitted, then ends the threads. Idempotent. False where a batch did not
  /// come back within `patience`: destroying the pool would wait for its device.
  bool stop(Duration patience) EXCLUDES(mu_);

 private:
  struct Lane {
    std::size_t model = 0;
    Size input;
    Size picture;  ///< that it was made for
  };
  /// A batch that its device owes.
  struct Flight {
    DeviceIndex device = 0;
    LaneIndex lane = 0;
    std::vector<InferenceJob> jobs;
    Done done;
  };
  /// What is told of a lane on a device.
  struct LaneFacts {
    std::string last_error;
    bool is_out = false;  ///< alone, when the device last served
    std::int64_t outages = 0;
  };
  /// What pools have done that are no more.
  struct Work {
    std::int64_t batches = 0;
    std::int64_t frames = 0;
    Duration inference_time{0};
    void add(const DetectorPool& pool);
  };
  struct Device {
    std::shared_ptr<DetectorPool> pool;
    std::vector<std::shared_ptr<const Detector>> detectors;  ///< as loaded first
    std::vector<LaneIndex> lanes;       ///< of `pool`, by ours; unused where it lacks the model
    std::vector<ServiceTimes> times;    ///< by our lane, like the next
    std::vector<std::size_t> unloaded;  ///< batches above this one; 0: none
    std::vector<LaneFacts> facts;
    std::unique_ptr<DeviceHealth> health;
    std::string last_error;
    TimePoint out_since;
    std::int64_t outages = 0;
    std::optional<TimePoint> error_told_at;
    std::int64_t errors_untold = 0;
    std::thread loader;
    bool is_loading = false;
    std::optional<TimePoint> loaded_at;                 ///< last tried
    std::string stays_told;                             ///< why a model was not loaded anew
    std::vector<InferenceCounts> inferences;            // by model
    std::vector<std::shared_ptr<DetectorPool>> before;  ///< replaced, and not yet let go
    Work done_before;                                   ///< by those that were
  };
  /// What is to be done once the lock is released.
  using Deferred = std::vector<std::function<void()>>;

  /// The device's pool, as it is loaded now, and our lane in it.
  [[nodiscard]] std::pair<std::shared_ptr<DetectorPool>, LaneIndex> lane_of(DeviceIndex device,
                                                                            LaneIndex lane) const
      EXCLUDES(mu_);
  void watch() EXCLUDES(mu_);
  void on_done(std::uint64_t id, DeviceIndex device, BatchOutcome&& outcome) EXCLUDES(mu_);
  /// Carries out what the health of a device asks for.
  void obey(DeviceIndex device, const DeviceHealth::Change& change, Deferred& deferred)
      REQUIRES(mu_);
  /// The same, of one of its lanes.
  void tell_lane(DeviceIndex device, const DeviceHealth::Change& change, Deferred& deferred)
      REQUIRES(mu_);
  /// The device that a batch meant for `device` runs on; none: it is out.
  [[nodiscard]] std::optional<DeviceIndex> device_for(DeviceIndex device, LaneIndex lane) const
      REQUIRES(mu_);
  /// Who answers now that `out` does not, for the log.
  [[nodiscard]] std::string explain_left(DeviceIndex out) const REQUIRES(mu_);
  /// Looks which lanes have gone out alone, or come back.
  void count_lane_outages(Device& device) REQUIRES(mu_);
  [[nodiscard]] std::vector<HostedModel> hosted_by(DeviceIndex device) const REQUIRES(mu_);
  [[nodiscard]] std::vector<LaneOutReport> lanes_out_of(DeviceIndex device) const REQUIRES(mu_);
  void tell_error(DeviceIndex device, LaneIndex lane, std::size_t frames, const Error& error,
                  Deferred& deferred) REQUIRES(mu_);
  /// Looks at the machine's memory where that is due.
  void look_at_memory(TimePoint now, Deferred& deferred) REQUIRES(mu_);
  /// Unloads the model that nobody has used for longest from the processor that has it.
  void unload_idlest() EXCLUDES(mu_);
  void probe(DeviceIndex device, LaneIndex lane, Deferred& deferred) REQUIRES(mu_);
  void on_probed(DeviceIndex device, LaneIndex lane, const DetectorPool* pool,
                 const BatchOutcome& outcome) EXCLUDES(mu_);
  void begin_load(DeviceIndex device) REQUIRES(mu_);
  /// On a thread of its own.
  void load(DeviceIndex device) EXCLUDES(mu_);
  /// The device's models, loaded anew. One whose file is no longer the same stays as it is loaded,
  /// and does not keep the others from the device.
  Result<std::vector<std::shared_ptr<const Detector>>> load_models(DeviceIndex device)
      EXCLUDES(mu_);
  /// Puts the pool in the place of the one that the device has, unless it serves again by that.
  /// True: it is in use.
  bool replace(DeviceIndex device, const std::shared_ptr<DetectorPool>& pool) EXCLUDES(mu_);
  /// Ends pools that were replaced and owe nothing: their models' memory is the device's own. Waits
  /// a while for those that still do; the next load sees to the rest.
  void let_go_of_replaced(DeviceIndex device) EXCLUDES(mu_);
  /// Makes the requests that the device has had batches for, as far as it can, but for those that
  /// were unloaded.
  void make_ready(DeviceIndex device, DetectorPool& pool) EXCLUDES(mu_);
  [[nodiscard]] std::shared_ptr<DetectorPool> make_pool(
      std::vector<std::shared_ptr<const Detector>> detectors) const;
  /// What a batch usually takes there; 0: not known, or its request is still to be made.
  [[nodiscard]] Duration expected(const Device& device, LaneIndex lane, std::size_t frames) const
      REQUIRES(mu_);

  const Clock& clock_;
  const Options options_;
  std::vector<std::string> names_;  // constant after construction, like the next two
  std::vector<std::size_t> batches_max_;
  std::vector<DeviceSet> hosts_;  // by model
  std::atomic<std::uint64_t> version_{0};
  std::atomic<std::size_t> lanes_out_{0};  ///< alone, on all devices
  mutable Mutex mu_;                       // that of a DetectorPool may be taken under it
  CondVar changed_;
  std::vector<Device> devices_;  // as many as there are for ever; what is in them GUARDED_BY(mu_)
  std::vector<Lane> lanes_ GUARDED_BY(mu_);
  std::map<std::uint64_t, Flight> flights_ GUARDED_BY(mu_);
  std::uint64_t next_id_ GUARDED_BY(mu_) = 1;
  std::optional<TimePoint> wake_at_ GUARDED_BY(mu_);  ///< of the watching thread
  TimePoint memory_look_at_ GUARDED_BY(mu_);          ///< the next one
  bool is_stopping_ GUARDED_BY(mu_) = false;
  std::thread watcher_;
};

/// "errors", "hung", "gone": in the log, in reports and as a metric's label.
[[nodiscard]] std::string_view to_string(OutReason reason);

}  // namespace framemill
