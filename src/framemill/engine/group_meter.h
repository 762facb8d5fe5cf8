#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/core/answer.h"
#include "framemill/metrics/latency_histogram.h"

namespace framemill {

/// What a group of cameras got in a window of time.
struct GroupFigures {
  std::array<std::int64_t, kOutcomeCount> outcomes{};  ///< of sampled frames; kSampledOut stays 0
  std::int64_t inferred_in_time = 0;                   ///< by the model, by the deadline
  std::int64_t overdue = 0;                            ///< answers after their deadline
  LatencyHistogram inferred_latency;                   ///< of answers that the model gave
  Duration worst_gap{0};  ///< longest time between captures of on-time answers of one camera
  [[nodiscard]] std::int64_t sampled() const;
  [[nodiscard]] std::int64_t answered() const;
};

/// Sums up the answers of a run by groups of cameras, leaving out its beginning and its end: only
/// frames captured in [begin, end) count. add() from any thread, the others from one.
class GroupMeter {
 public:
  /// `group_of_camera`: by CameraIndex, each < groups.
  GroupMeter(std::vector<std::size_t> group_of_camera, std::size_t groups);

  /// Frames captured from `begin` until `end` count; until this call none do.
  void set_window(TimePoint begin, TimePoint end) EXCLUDES(mu_);
  void add(const Answer& answer) EXCLUDES(mu_);

  /// By group.
  [[nodiscard]] std::vector<GroupFigures> figures() const EXCLUDES(mu_);

 private:
  const std::vector<std::size_t> group_of_camera_;
  mutable Mutex mu_;
  TimePoint begin_ GUARDED_BY(mu_) = TimePoint::max();
  TimePoint end_ GUARDED_BY(mu_) = TimePoint::max();
  std::vector<GroupFigures> groups_ GUARDED_BY(mu_);
  std::vector<TimePoint> last_on_time_ GUARDED_BY(mu_);  ///< by camera; min(): none yet
};

}  // namespace framemill
