#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/sched/lane_index.h"

namespace framemill {

/// When a device is taken out, and how it is tried again.
struct DeviceHealthPolicy {
  /// Failed batches of a lane in a row; a device that says it is gone needs one.
  int errors_max = 2;
  double hang_factor = 8;  ///< a batch hangs at so many times what was expected of it, ...
  Duration hang_least = std::chrono::milliseconds(500);   ///< ... and not before
  Duration hang_unknown = std::chrono::seconds(60);       ///< of a batch of which nothing is known
  Duration probe_first = std::chrono::milliseconds(250);  ///< from being out to the first probe
  Duration probe_most = std::chrono::seconds(2);          ///< between probes; they double up to it
  Duration steady = std::chrono::seconds(10);  ///< served for so long, probing begins anew
};

enum class HealthState {
  kServing,  ///< takes batches
  kOut,      ///< takes none; is probed at wake_at()
  kProbing,  ///< one batch of one picture is on it, to see
};
enum class OutReason { kNone, kErrors, kHung, kGone };

/// Whether a device may serve, and which of its lanes (a model at an input size), from what became
/// of its batches. A lane whose batches fail is taken out alone as long as another one works: a
/// model that is broken does not take its device from the others. The device is taken out when no
/// lane of it works, when a batch hangs, or when one says that the device is gone. What is out is
/// probed with single pictures, the lane that failed first, and taken back when one comes through.
/// Out of memory takes no device out: it halves the largest batch, which is remembered.
/// A slow device is none of its business: ServiceTimes learn it, and it gets less to do.
/// A state machine without clock or threads: `now` never goes back. Not thread-safe; O(batches in
/// flight + lanes), of which there are a few.
class DeviceHealth {
 public:
  /// What the caller has to do after an event.
  struct Change {
    bool is_taken_out = false;
    bool is_taken_back = false;
    std::optional<LaneIndex> lane_out;   ///< that one alone
    std::optional<LaneIndex> lane_back;  ///< that was out alone
    /// Batches that the device owes an answer for: to be answered elsewhere. What comes back of
    /// them later is late news, and changes nothing but that the device lives.
    std::vector<std::uint64_t> lost;
  };

  /// `batch_max` >= 1: the largest batch that is ever asked for.
  DeviceHealth(const DeviceHealthPolicy& policy, std::size_t batch_max);

  [[nodiscard]] HealthState state() const { return state_; }
  [[nodiscard]] OutReason reason() const { return reason_; }
  [[nodiscard]] bool may_serve() const { return state_ == HealthState::kServing; }
  [[nodiscard]] bool may_serve(LaneIndex lane) const {
    return may_serve() && !(lane < lanes_.size() && lanes_[lane].is_out);
  }
  /// Lanes that are out alone.
  [[nodiscard]] std::size_t lanes_out() const;
  /// Since when the lane is out alone; none: it is not, or the device is out.
  [[nodiscard]] std::optional<TimePoint> lane_out_since(LaneIndex lane) const;
  /// In this outage of the device.
  [[nodiscard]] int probes_failed() const { return probes_failed_; }
  /// The largest batch that has not run out of memory; at least 1.
  [[nodiscard]] std::size_t batch_max() const { return batch_max_; }
  [[nodiscard]] std::size_t in_flight() const { return batches_.size(); }

  /// A batch was handed over while the lane may be served; `id` is new, `expected` what it usually
  /// takes, 0 where nothing is known: the first of its kind may have to compile the model.
  void started(std::uint64_t id, LaneIndex lane, std::size_t pictures, TimePoint now,
               Duration expected);
  /// A batch came back. Ids that were lost are known to be late. kCancelled and kInvalidArgument (a
  /// picture that no device takes) are not the device's fault.
  Change finished(std::uint64_t id, TimePoint now, std::optional<ErrorCode> error);
  /// Looks for batches, and probes, that hang.
  Change tick(TimePoint now);
  /// When tick() or begin_probe() has something to do next; none: not before the next event.
  [[nodiscard]] std::optional<TimePoint> wake_at() const;

  /// The lane that the caller now sends one picture of, and reports by probed(): of the device
  /// where that is out, else of a lane that is. None while the earlier ones have not come back.
  [[nodiscard]] std::optional<LaneIndex> begin_probe(TimePoint now);
  /// There is reason to think that the device is well again: the next probe is now.
  void hope(TimePoint now);
  /// What became of the lane's probe, however late.
  Change probed(LaneIndex lane, TimePoint now, std::optional<ErrorCode> error);
  /// The models were loaded anew: of probes under way nothing is heard.
  void renew();

 private:
  struct Batch {
    std::uint64_t id = 0;
    LaneIndex lane = 0;
    std::size_t pictures = 0;
    TimePoint hangs_at;
  };
  /// When what is out is tried: what fails again and again ever less often.
  struct ProbeTimer {
    Duration wait{0};
    TimePoint at;
    std::optional<TimePoint> back_since;  ///< serving after an outage
    void take_out(const DeviceHealthPolicy& policy, TimePoint now);
    void wait_longer(const DeviceHealthPolicy& policy, TimePoint now);
  };
  struct Lane {
    bool is_known = false;  ///< has had a batch
    int errors = 0;         ///< in a row
    bool is_out = false;
    bool is_probing = false;  ///< a picture is on its way
    int probes_failed = 0;    ///< while it is out
    std::optional<TimePoint> well_at;
    TimePoint out_since;
    ProbeTimer timer;  ///< while it is out, and the device is not
  };
  Lane& lane_at(LaneIndex lane);
  /// Whether another one than `lane` has worked since `since`, and last.
  [[nodiscard]] bool is_other_well(LaneIndex lane, TimePoint since) const;
  void put_out(Lane& lane, TimePoint now);
  void put_back(Lane& lane, TimePoint now);
  Change take_out(OutReason reason, LaneIndex lane, TimePoint now);
  Change take_back(LaneIndex lane, TimePoint now);
  Change lane_probed(LaneIndex index, TimePoint now, std::optional<ErrorCode> error);
  void probe_failed(TimePoint now);
  [[nodiscard]] std::optional<LaneIndex> begin_device_probe(TimePoint now);

  const DeviceHealthPolicy policy_;
  std::size_t batch_max_;
  HealthState state_ = HealthState::kServing;
  OutReason reason_ = OutReason::kNone;
  std::vector<Lane> lanes_;
  std::vector<Batch> batches_;
  ProbeTimer timer_;          ///< while out: the next probe; while probing: when this one hangs
  LaneIndex probe_lane_ = 0;  ///< under way, or next
  int probes_failed_ = 0;
};

}  // namespace framemill
