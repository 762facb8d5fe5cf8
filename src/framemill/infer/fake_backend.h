#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "framemill/base/clock.h"
#include "framemill/infer/backend.h"

namespace framemill {

struct FakeBackendOptions {
  Size input{640, 384};
  int class_count = 1;
  std::size_t batch_max = 1;
  std::size_t parallel_requests = 1;
  std::string device = "FAKE";  ///< of its facts
  /// Service time of a batch of n: `fixed + per_item * n`, kept exactly by sleeping on a thread of
  /// its own.
  Duration fixed{0};
  Duration per_item{0};
};

/// What a FakeBackend was asked and what it shall do; shared with the test. Thread-safe.
struct FakeBackendControl {
  std::atomic<std::int64_t> started{0};
  std::atomic<std::int64_t> finished{0};
  std::atomic<std::int64_t> in_flight{0};
  std::atomic<std::int64_t> in_flight_peak{0};
  std::atomic<bool> fail_all{false};  ///< requests end with kInternal
  std::atomic<bool> hang{false};      ///< requests do not end until cleared
  std::atomic<bool> gone{false};      ///< requests end, and are refused, with kUnavailable
  /// Backends made before it was raised last are as if gone, for ever: their device came back as a
  /// new one.
  std::atomic<int> lives{0};
  std::atomic<std::size_t> memory_frames{0};  ///< larger batches: kResourceExhausted; 0: none are
  /// Of all requests together: one more is refused with kResourceExhausted; 0: no limit.
  std::atomic<std::size_t> memory_pictures{0};
  std::atomic<std::size_t> pictures_held{0};  ///< by requests that are alive
  std::atomic<int> slowdown{1};               ///< service times are so many times as long
  std::atomic<int> load_ms{0};                ///< making a request takes so long
};

/// A backend with exact service times and no model: a [B,4+C,N] head which "detects" one box where
/// the tensor's mean brightness exceeds the border's in a grid cell. For tests and benchmarks of
/// the engine.
[[nodiscard]] std::unique_ptr<Backend> create_fake_backend(
    const FakeBackendOptions& options, std::shared_ptr<FakeBackendControl> control);

}  // namespace framemill
