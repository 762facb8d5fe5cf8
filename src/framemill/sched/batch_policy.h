#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/camera.h"
#include "framemill/sched/service_times.h"

namespace framemill {

/// A frame that waits in its camera's mailbox, as far as the policy has to know it.
struct WaitingFrame {
  CameraIndex camera = 0;
  std::uint32_t model = 0;  ///< index of the model it needs; only frames of one model share a batch
  Priority priority = Priority::kNormal;
  TimePoint arrived_at;   ///< in the mailbox
  TimePoint deadline;     ///< captured_at + slo
  TimePoint served_until;  ///< capture time of the camera's last frame given to a backend, or of its first
  double need = 1.0;      ///< >= 0: expected wrong detections without inference; 1 under full
};

/// When a camera without a waiting frame will bring the next one; cameras are periodic.
struct ExpectedArrival {
  std::uint32_t model = 0;
  TimePoint at;
};

/// Constant per device, but for the service times.
struct BatchPolicy {
  std::size_t knee_frames = 1;  ///< batch past which doubling adds < 5 % throughput
  Duration linger = std::chrono::milliseconds(5);       ///< longest wait for company
  Duration wake_margin = std::chrono::milliseconds(1);  ///< timers fire late; closed so much earlier
  Duration post_time = std::chrono::milliseconds(2);    ///< from completion to the answer
  Duration answer_margin = std::chrono::milliseconds(5);  ///< a waiting answer leaves so long before d
};

struct DeviceState {
  std::size_t batches_in_flight = 0;
  std::size_t batches_max = 2;  ///< in flight at once; parallel requests on a CPU
  /// When the oldest batch in flight should end; the policy counts on it for hopeless frames while all
  /// slots are taken.
  std::optional<TimePoint> free_at;
};

/// What to do now with the waiting frames of one device; indices into `waiting`.
struct BatchDecision {
  std::vector<std::size_t> send;      ///< one batch, best first; empty: nothing to send now
  std::vector<std::size_t> hopeless;  ///< cannot meet their deadline even alone: answer them otherwise
  std::optional<TimePoint> wake_at;   ///< ask again at this time, unless something happens before
  friend bool operator==(const BatchDecision&, const BatchDecision&) = default;
};

/// Weight of a priority class in the order of service: critical 16, normal 4, background 1.
[[nodiscard]] double priority_weight(Priority priority);

/// Decides at `now` as design section 6 says: what cannot meet its deadline leaves; the others are ordered
/// critical first, then by priority weight x staleness (now - served_until) x need, ties by camera; a
/// batch takes the best whose deadlines a batch of that size still keeps (Nexus' window at the knee:
/// frames leave, the batch does not shrink below the knee while more are ready); it leaves at
/// B >= knee, or at min(oldest + linger, latest safe start), or when no expected arrival can still join in
/// time; a knee of 1 never waits. `times` are those of the device, per model index.
/// Pure, any thread, O(n log n). Property: with a free slot, asking again at wake_at sends.
[[nodiscard]] BatchDecision decide_batch(std::span<const WaitingFrame> waiting,
                                         std::span<const ExpectedArrival> expected, TimePoint now,
                                         const BatchPolicy& policy,
                                         std::span<const ServiceTimes> times,
                                         const DeviceState& device);

}  // namespace framemill
