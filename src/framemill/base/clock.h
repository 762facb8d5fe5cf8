#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace framemill {

/// All time spans are whole nanoseconds.
using Duration = std::chrono::nanoseconds;

/// A point on the monotonic clock. Its zero has no meaning; only differences do.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// A point of civil time (UTC), for what people and other systems read. Never for latency.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

[[nodiscard]] constexpr double to_seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}
[[nodiscard]] constexpr double to_ms(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}
/// Rounds to the nearest nanosecond; `seconds` within +-9e9.
[[nodiscard]] constexpr Duration from_seconds(double seconds) {
  return Duration(static_cast<std::int64_t>(seconds * 1e9 + (seconds < 0 ? -0.5 : 0.5)));
}

/// Where time comes from. Thread-safety: all members, any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
  [[nodiscard]] virtual WallTime wall_now() const = 0;
};

/// The machine's clocks.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override;
  [[nodiscard]] WallTime wall_now() const override;
};

/// Time that moves only when told to; both clocks advance together. For tests and the simulator.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override;
  [[nodiscard]] WallTime wall_now() const override;
  /// `by` >= 0.
  void advance(Duration by);

 private:
  mutable std::mutex mu_;
  Duration elapsed_{0};  // guarded by mu_
};

}  // namespace framemill
