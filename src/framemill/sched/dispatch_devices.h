#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/sched/batch_policy.h"
#include "framemill/sched/device_index.h"
#include "framemill/sched/lane_index.h"
#include "framemill/sched/service_times.h"

namespace framemill {

/// A device as a run begins.
struct DispatchDevice {
  std::size_t batches_max = 1;           ///< in flight at once; throughput peaks there
  std::vector<std::size_t> lane_knees;   ///< measured, by LaneIndex; 0 or none: as all
  std::vector<ServiceTimes> lane_times;  ///< measured, by LaneIndex
};

/// The devices of a LiveDispatch: what each has in flight, how fast it is on each lane, whether it
/// serves, and which one takes the next batch.
///
/// The fastest one with a free slot goes first, where several are equal the one with fewest slots
/// taken. The others take what they can answer in time; what a slower one would answer late waits
/// for a faster one. A device that is passed over for kTryEvery gets one frame to show that it is
/// fast again, and, while it shows so, one after the other. A frame is given up when no serving
/// device can answer it in time any more.
/// With one device it is decide_batch(). Pure: `now` is an argument. Not thread-safe.
/// choose() is O(devices x frames).
class DispatchDevices {
 public:
  static constexpr Duration kTryEvery = std::chrono::seconds(1);

  /// At least one.
  explicit DispatchDevices(const std::vector<DispatchDevice>& devices);

  [[nodiscard]] std::size_t count() const { return devices_.size(); }

  /// One more lane, which `hosts` have; `knee` >= 1 where a device has no measured one.
  void add_lane(std::size_t batch_max, std::size_t knee, DeviceSet hosts);
  [[nodiscard]] std::size_t lane_count() const { return lanes_.size(); }
  /// All lanes of all devices take `frames` to a batch from now on, as far as they can.
  void set_knee(std::size_t frames);

  /// Whether the device takes batches, and how many frames to one at most.
  void set_state(DeviceIndex device, bool is_serving, std::size_t batch_max);
  [[nodiscard]] bool is_serving(DeviceIndex device) const { return devices_[device].is_serving; }
  /// Whether there is one that serves and has the lane.
  [[nodiscard]] bool is_served(LaneIndex lane) const { return servers(lane) != 0; }
  /// Those that serve and have the lane.
  [[nodiscard]] DeviceSet servers(LaneIndex lane) const;
  /// Those that serve.
  [[nodiscard]] DeviceSet servers() const;

  void begin_batch(TimePoint now, DeviceIndex device, LaneIndex lane, std::size_t frames);
  /// `service_time`: none where it failed.
  void end_batch(DeviceIndex device, LaneIndex lane, std::size_t frames,
                 std::optional<Duration> service_time);

  /// Batches at once on those of `of` that serve.
  [[nodiscard]] std::size_t slots(DeviceSet of = kAllDevices) const;
  /// Some that serve, and none of them has a slot left.
  [[nodiscard]] bool is_full() const;
  /// Of slots(), how many are free.
  [[nodiscard]] std::size_t free_slots(DeviceSet of = kAllDevices) const;
  [[nodiscard]] bool has_free_slot() const { return free_slots() > 0; }
  /// The largest batch that any serving device takes on any lane.
  [[nodiscard]] std::size_t knee_max() const;

  /// Where a single picture for `lane` goes: the fastest with a free slot that is none of `kept`,
  /// else of all, else the fastest.
  [[nodiscard]] DeviceIndex for_single(LaneIndex lane, DeviceSet kept = 0) const;
  /// The fastest that serves and has the lane; where none does, of all that have it.
  [[nodiscard]] DeviceIndex fastest(LaneIndex lane) const;
  [[nodiscard]] const ServiceTimes& times(DeviceIndex device, LaneIndex lane) const {
    return devices_[device].times[lane];
  }
  [[nodiscard]] const ServiceTimes& times(LaneIndex lane) const {
    return times(fastest(lane), lane);
  }
  /// What was measured there at the start; null: nothing.
  [[nodiscard]] const ServiceTimes* measured(LaneIndex lane) const;
  /// Frames to a batch on the fastest device of the lane.
  [[nodiscard]] std::size_t knee(LaneIndex lane) const {
    return devices_[fastest(lane)].knees[lane];
  }

  /// What to do now with `waiting`, and on which device; see decide_batch(). `policy` without
  /// knees. Devices in `kept`, by lane, take frames of critical cameras alone; one that they could
  /// answer in time is waited for. Overwrites `decision`; the device is only meant where something
  /// is sent.
  DeviceIndex choose(std::span<const WaitingFrame> waiting,
                     std::span<const ExpectedArrival> expected, TimePoint now, BatchPolicy policy,
                     BatchDecision& decision, std::span<const DeviceSet> kept = {});

 private:
  struct Device {
    DispatchDevice start;
    bool is_serving = true;
    std::size_t batch_max = kBatchBuckets.back();
    std::size_t batches_in_flight = 0;
    std::deque<TimePoint> batches_due;  ///< in flight, when each should end
    std::vector<ServiceTimes> times;    ///< by lane
    std::vector<std::size_t> wanted;    ///< frames to a batch, by lane
    std::vector<std::size_t> knees;     ///< the same, as far as lane and device take them
    std::optional<TimePoint> sent_at;   ///< last
    bool is_faster = false;  ///< its last batch took a fifth less than expected, or even less
  };
  struct Lane {
    std::size_t batch_max = 1;
    DeviceSet hosts = kAllDevices;
  };

  [[nodiscard]] bool can_serve(DeviceIndex device, LaneIndex lane) const {
    return devices_[device].is_serving && has_device(lanes_[lane].hosts, device);
  }
  [[nodiscard]] DeviceState state_of(const Device& device) const;
  void update_knees(Device& device);
  /// Serving devices, the one to ask first at the front.
  void sort_by_speed(std::span<const WaitingFrame> waiting);
  /// Asks one device about what it can take of `waiting`; place_ says which those are.
  void ask(DeviceIndex device, bool is_first, std::span<const DeviceSet> kept,
           std::span<const WaitingFrame> waiting, std::span<const ExpectedArrival> expected,
           TimePoint now, BatchPolicy policy);

  std::vector<Device> devices_;
  std::vector<Lane> lanes_;
  // Reused from call to call.
  std::vector<DeviceIndex> order_;
  std::vector<Duration> speed_;        ///< by device
  std::vector<WaitingFrame> offered_;  ///< what one device may take
  std::vector<std::size_t> place_;     ///< of those, in `waiting`
  std::vector<std::uint8_t> chances_;  ///< of `waiting`: devices that it is not hopeless on
  BatchDecision answer_;
  BatchScratch scratch_;
};

}  // namespace framemill
