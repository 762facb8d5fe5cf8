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

/// A frame that waits in its camera's mailbox, as far as the policy has to know it. Frames of a
/// camera which may not have another one in flight are left out; the caller keeps their deadlines.
struct WaitingFrame {
  CameraIndex camera = 0;
  std::uint32_t model = 0;  ///< index of the model it needs; only frames of one model share a batch
  Priority priority = Priority::kNormal;
  TimePoint arrived_at;  ///< in the mailbox
  TimePoint deadline;    ///< captured_at + slo
  /// Since when the camera counts as not served: the capture time of its last frame given to a
  /// backend, or of its first frame, less what its former gaps add (LiveDispatch).
  /// TimePoint::min(): never served, the most stale there is.
  TimePoint served_until;
  /// Expected wrong detections without inference; 1 under full. 0: only when nothing else waits.
  /// Below 0 counts as 0, above 1e9 as 1e9, NaN as 1.
  double need = 1.0;
  /// An answer after the deadline is worth more than none (policy full): never hopeless, but served
  /// only with a slot that no frame in time wants.
  bool is_late_useful = false;
};

/// When a camera without a waiting frame will bring the next one; cameras are periodic.
struct ExpectedArrival {
  std::uint32_t model = 0;
  TimePoint at;  ///< one that is overdue by more than `linger` is no longer counted on
};

/// Constant per device, but for the service times.
struct BatchPolicy {
  std::size_t knee_frames = 1;  ///< batch past which doubling adds < 5 % throughput; 1..32
  /// By model, in place of `knee_frames`; may be shorter. The caller's memory.
  std::span<const std::size_t> knee_of_model = {};
  Duration linger = std::chrono::milliseconds(5);  ///< longest wait for company
  Duration wake_margin =
      std::chrono::milliseconds(1);                   ///< timers fire late; closed so much earlier
  Duration post_time = std::chrono::milliseconds(2);  ///< from completion to the answer
};

struct DeviceState {
  std::size_t batches_in_flight = 0;
  std::size_t batches_max = 2;  ///< in flight at once; parallel requests on a CPU
  /// When the oldest batch in flight should end (its start + mean). Only read while all slots are
  /// taken, and only to give up at once on frames which could not even make it if the device were
  /// then as fast as ever seen.
  std::optional<TimePoint> free_at;
  /// Whether, with nothing else to do, it tries a frame that it would answer late.
  bool may_try = true;
};

/// What to do now with the waiting frames of one device; indices into `waiting`.
struct BatchDecision {
  std::vector<std::size_t> send;  ///< one batch, best first; empty: nothing to send now
  std::vector<std::size_t>
      hopeless;  ///< cannot meet their deadline even alone: answer them otherwise
  /// Ask again at this time, unless something happens before. `now` after a batch which left frames
  /// behind (another slot may be free for them); empty when nothing is left waiting.
  std::optional<TimePoint> wake_at;
  friend bool operator==(const BatchDecision&, const BatchDecision&) = default;
};

/// Memory that decide_batch() reuses from call to call; holds nothing between them. One per thread.
struct BatchScratch {
  struct Candidate {
    bool is_critical = false;
    double score = 0;
    Duration staleness{0};
    CameraIndex camera = 0;
    std::uint32_t model = 0;
    std::size_t index = 0;  // into `waiting`
    TimePoint deadline;
  };
  struct Model {
    std::size_t ready = 0;
    TimePoint viable_from;           // an earlier deadline is hopeless
    Duration given_up_before{0};     // a frame becomes hopeless so long before its deadline
    TimePoint critical_viable_from;  // the same for critical frames
    Duration critical_given_up_before{0};
    TimePoint oldest_arrival;
    TimePoint first_deadline;
    std::size_t lead = 0;  // into candidates: the best of this model
    bool is_known = false;
  };
  std::vector<Candidate> candidates;
  std::vector<Model> models;
};

/// Weight of a priority class in the order of service: critical 16, normal 4, background 1.
[[nodiscard]] constexpr double priority_weight(Priority priority) {
  switch (priority) {
    case Priority::kCritical:
      return 16;
    case Priority::kNormal:
      return 4;
    case Priority::kBackground:
      return 1;
  }
  return 1;
}

/// Decides at `now` as design section 6 says.
/// - What cannot meet its deadline leaves: now + p95(1) + post_time > deadline; of critical frames
///   only what could not even meet it if the device were as fast as ever seen (p05): they are worth
///   an inference that may come too late. Exception: a device with nothing in flight and nothing
///   else to do tries the one with the most time left (if any is left), because only a try can show
///   that the device is fast again after a stall.
/// - Frames that would be late but useful stay, and get a free slot which nothing else wants; one
/// at a
///   time, by the same order.
/// - Order: critical first, then priority weight x staleness (now - served_until) x need x
/// freshness
///   (2/3 for a frame about to become hopeless .. 1 for a new one); ties by staleness, then camera.
/// - A batch holds frames of one model, the best of those whose deadlines a batch of that size
/// still
///   keeps (Nexus' window at the knee: frames leave, the batch does not shrink below the knee while
///   more are ready). It shrinks for a critical frame at its head, and for urgent frames while
///   fewer than the knee are ready and the others can follow in time.
/// - It leaves at the knee, or at min(oldest + linger, latest safe start), or when no expected
/// arrival
///   can still join in time; a knee of 1 never waits.
/// - Several models: the model of the best frame, but the one with less slack goes first when its
///   best frame would be lost by waiting and its score is at least half of the other's. (Least
///   slack alone would let a model with a short slo starve the others under overload.)
/// - With all slots taken nothing is sent, and frames stay: the device may end early, and a newer
///   frame replaces them meanwhile. Only those that are surely lost (see free_at) leave sooner.
/// `times` are those of the device, per model index; every frame's model < times.size().
/// Pure, any thread; O(n log knee + models). Property: with a free slot, asking again at wake_at
/// sends or drops. The caller asks at each arrival, completion and wake_at, and again after a send.
[[nodiscard]] BatchDecision decide_batch(std::span<const WaitingFrame> waiting,
                                         std::span<const ExpectedArrival> expected, TimePoint now,
                                         const BatchPolicy& policy,
                                         std::span<const ServiceTimes> times,
                                         const DeviceState& device);

/// The same without allocations once `scratch` and `decision` have grown; overwrites `decision`.
void decide_batch(std::span<const WaitingFrame> waiting, std::span<const ExpectedArrival> expected,
                  TimePoint now, const BatchPolicy& policy, std::span<const ServiceTimes> times,
                  const DeviceState& device, BatchScratch& scratch, BatchDecision& decision);

}  // namespace framemill
