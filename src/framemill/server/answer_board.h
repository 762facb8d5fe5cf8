#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/core/answer.h"

namespace framemill {

/// An answer as the board keeps it, without its picture. `number` grows with each answer of the
/// run.
struct BoardEntry {
  std::int64_t number = 0;
  std::shared_ptr<const Answer> answer;
};

/// Which answers are asked for; newest first.
struct BoardQuery {
  std::optional<CameraIndex> camera;   ///< none: all
  std::optional<std::int64_t> before;  ///< only numbers below
  std::size_t limit = 100;
  std::function<bool(const Answer&)> is_wanted;  ///< empty: all
};

/// The last answers of each camera, and the newest picture of those that somebody looks at.
/// Bounded: `answers_max` over all cameras, at most `per_camera_max` each. Thread-safety: all
/// members, any thread; take() holds a lock for microseconds only.
class AnswerBoard {
 public:
  AnswerBoard(std::size_t answers_max, std::size_t per_camera_max);

  /// Returns what was kept.
  BoardEntry take(const Answer& answer) EXCLUDES(mu_);
  /// The camera will have no more answers: its own are forgotten.
  void forget(CameraIndex camera) EXCLUDES(mu_);

  [[nodiscard]] std::vector<BoardEntry> newest(const BoardQuery& query) const EXCLUDES(mu_);
  /// Adds the latencies of the camera's answers captured at `since` or later to `latencies`.
  void add_latencies(CameraIndex camera, TimePoint since, std::vector<Duration>& latencies) const
      EXCLUDES(mu_);

  /// The newest answer of the camera that had a picture, with it.
  [[nodiscard]] std::shared_ptr<const Answer> picture(CameraIndex camera) const EXCLUDES(mu_);
  /// Lets go of pictures captured before `before`: a decoder's buffer each.
  void forget_pictures(TimePoint before) EXCLUDES(mu_);

 private:
  struct Lane {
    std::deque<BoardEntry> entries;  ///< oldest first
    std::shared_ptr<const Answer> pictured;
  };
  const std::size_t answers_max_;
  const std::size_t per_camera_max_;
  mutable Mutex mu_;
  std::map<CameraIndex, Lane> lanes_ GUARDED_BY(mu_);
  std::int64_t next_number_ GUARDED_BY(mu_) = 1;
};

/// What 95 % of `latencies` do not exceed; empty without any. Reorders them.
[[nodiscard]] std::optional<Duration> p95_of(std::vector<Duration>& latencies);

}  // namespace framemill
