#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/camera.h"

namespace framemill {

/// What share of the sampled frames a budget of inferences a second comes to: the budget over the
/// frames a second that all cameras sample together. The token bucket counts frames, not time
/// (see TokenBucket), so a budget a second is as right as these rates are.
///
/// A camera sampled by time counts with its `rate`, the most that it can bring. One that answers
/// each Nth frame brings what its source does, so its rate is measured: one over the mean of about
/// its last sixteen intervals, from its second frame on; until then it is a guess. A gap (an
/// outage, a jump of the timestamps) is no interval: what others earn does not grow while a camera
/// is away. Seconds are those of the times passed in: media time at pace fast, so that equal runs
/// decide equally, and the capture clock live.
/// Deterministic in the order of calls. Not thread-safe; O(1) a frame.
class BudgetPace {
 public:
  /// per_second > 0.
  explicit BudgetPace(double per_second);

  /// One more camera; its index is the number of those before it. `is_measured`: `rate_hz` (> 0) is
  /// a guess.
  void add_camera(double rate_hz, bool is_measured);
  void remove_camera(CameraIndex camera);
  /// A sampled frame of `camera`. Returns the share from now on, where it is another: at once where
  /// it is lower, and only from a hundredth on where it is higher, so that jitter does not move it.
  std::optional<double> count_frame(CameraIndex camera, TimePoint at);

  /// 0 < share <= 1; of the cameras as they are now.
  [[nodiscard]] double share() const;
  [[nodiscard]] double rate_hz(CameraIndex camera) const { return cameras_[camera].rate_hz; }

 private:
  struct Camera {
    double rate_hz = 0;
    bool is_measured = false;
    std::optional<TimePoint> last_at;
    std::int64_t intervals = 0;
    double mean_s = 0;
    int gaps = 0;  ///< in a row
  };
  void learn(Camera& camera, double interval_s);

  const double per_second_;
  std::vector<Camera> cameras_;
  double total_hz_ = 0;
  double share_told_ = 0;
};

}  // namespace framemill
