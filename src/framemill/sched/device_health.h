#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"

namespace framemill {

/// When a device is taken out, and how it is tried again.
struct DeviceHealthPolicy {
  int errors_max = 2;      ///< failed batches in a row; a device that says it is gone needs one
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

/// Whether a device may serve, from what became of its batches: it is taken out when batches fail,
/// hang or say that it is gone, probed with single pictures, and taken back when one comes through.
/// Out of memory takes no device out: it halves the largest batch, which is remembered.
/// A slow device is none of its business: ServiceTimes learn it, and it gets less to do.
/// A state machine without clock or threads: `now` never goes back. Not thread-safe; O(batches in
/// flight), of which there are a few.
class DeviceHealth {
 public:
  /// What the caller has to do after an event.
  struct Change {
    bool is_taken_out = false;
    bool is_taken_back = false;
    /// Batches that the device owes an answer for: to be answered elsewhere. What comes back of
    /// them later is late news, and changes nothing but that the device lives.
    std::vector<std::uint64_t> lost;
  };

  /// `batch_max` >= 1: the largest batch that is ever asked for.
  DeviceHealth(const DeviceHealthPolicy& policy, std::size_t batch_max);

  [[nodiscard]] HealthState state() const { return state_; }
  [[nodiscard]] OutReason reason() const { return reason_; }
  [[nodiscard]] bool may_serve() const { return state_ == HealthState::kServing; }
  /// The largest batch that has not run out of memory; at least 1.
  [[nodiscard]] std::size_t batch_max() const { return batch_max_; }
  [[nodiscard]] std::size_t in_flight() const { return batches_.size(); }

  /// A batch was handed over while it may serve; `id` is new, `expected` what it usually takes, 0
  /// where nothing is known: the first of its kind may have to compile the model.
  void started(std::uint64_t id, std::size_t pictures, TimePoint now, Duration expected);
  /// A batch came back. Ids that were lost are known to be late. kCancelled and kInvalidArgument (a
  /// picture that no device takes) are not the device's fault.
  Change finished(std::uint64_t id, TimePoint now, std::optional<ErrorCode> error);
  /// Looks for batches, and probes, that hang.
  Change tick(TimePoint now);
  /// When tick() or begin_probe() has something to do next; none: not before the next event.
  [[nodiscard]] std::optional<TimePoint> wake_at() const;

  /// True: the caller now sends one picture and reports by probed().
  [[nodiscard]] bool begin_probe(TimePoint now);
  /// There is reason to think that it is well again: the next probe is now.
  void hope(TimePoint now);
  /// What became of the probe; of one that hung before, nothing is heard.
  Change probed(TimePoint now, std::optional<ErrorCode> error);

 private:
  struct Batch {
    std::uint64_t id = 0;
    std::size_t pictures = 0;
    TimePoint hangs_at;
  };
  Change take_out(OutReason reason, TimePoint now);
  void wait_for_probe(TimePoint now);

  const DeviceHealthPolicy policy_;
  std::size_t batch_max_;
  HealthState state_ = HealthState::kServing;
  OutReason reason_ = OutReason::kNone;
  int errors_ = 0;
  std::vector<Batch> batches_;
  Duration probe_wait_;
  TimePoint probe_at_;  ///< while out: the next one; while probing: when this one hangs
  std::optional<TimePoint> back_since_;  ///< serving after an outage
};

}  // namespace framemill
