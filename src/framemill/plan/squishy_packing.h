#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace framemill {

/// Which models share a device, and in batches of which size: squishy bin packing after Nexus
/// (Shen et al., "Nexus: a GPU cluster engine for accelerating DNN-based video analysis",
/// SOSP 2019, sections 4.1 and 6.1).

/// What a batch of a model costs on a device.
struct BatchCost {
  std::size_t batch = 1;  ///< frames, >= 1
  double latency_s = 0;   ///< hand-over to completion, as SLOs count it; > 0
  double busy_s = 0;      ///< device time it takes; <= latency_s where batches overlap; > 0
  double p99_s = 0;       ///< p99 of the latency where it was measured; 0: latency_s
};

/// One model with one SLO.
struct PackingSession {
  double rate_hz = 0;            ///< frames a second to be served, >= 0
  double slo_s = 0;              ///< > 0
  std::vector<BatchCost> costs;  ///< ascending batches, throughput not falling; at least one
  double memory_bytes = 0;       ///< of the loaded model, >= 0
  std::size_t model = 0;         ///< sessions of one model share its memory
};

/// A session's share of a device.
struct PackedSession {
  std::size_t session = 0;  ///< index into the sessions
  std::size_t batch = 1;    ///< frames in a batch
  std::size_t batches = 1;  ///< one after the other in each of its turns
  double rate_hz = 0;       ///< frames a second served here
  double latency_s = 0;     ///< worst: a whole duty cycle, then its turn
};

/// Devices that run the same batches in turn, over and over.
struct PackedDevices {
  std::int64_t count = 1;
  double duty_cycle_s = 0;  ///< one round over all sessions
  double occupancy = 0;     ///< share of it that the device is busy, 0..1
  std::vector<PackedSession> sessions;
};

struct Packing {
  std::vector<PackedDevices> devices;
  [[nodiscard]] std::int64_t device_count() const;
};

/// The least SLO that a session can be served with: one batch runs while the frame waits, then its
/// own; in seconds.
[[nodiscard]] double least_slo_s(const std::vector<BatchCost>& costs);

/// The batch that serves a device full of one session fastest: the largest with
/// 2 * latency <= slo (a frame that just missed a batch waits for one). None where not even the
/// smallest keeps the SLO.
[[nodiscard]] std::optional<BatchCost> saturated_batch(const PackingSession& session);

/// Packs the sessions: whole devices of each one's saturated batch first, then what is left over is
/// merged where duty cycle, SLOs and `memory_limit_bytes` (a device) allow it, best fit first.
/// Requires that each session keeps its SLO (saturated_batch()) and fits into the memory alone.
/// O(n^2 + n * batches), whatever the rates; rates up to 1e15.
[[nodiscard]] Packing pack_sessions(const std::vector<PackingSession>& sessions,
                                    double memory_limit_bytes);

}  // namespace framemill
