#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "framemill/core/answer.h"

namespace framemill {

struct TrackerOptions {
  float score_high = 0.5F;  ///< starts tracks and is matched first
  float score_low = 0.1F;   ///< may only continue tracks (ByteTrack's second association)
  float iou_min = 0.2F;     ///< of a match with the predicted box
  /// A track not seen for this long ends; one that was seen only once, after a quarter of it.
  double lost_after_s = 2.0;
};

/// Gives the objects of one camera ids which stay over gaps: ByteTrack's two-step association
/// (Zhang et al., 2022, arXiv 2110.06864) over constant-velocity Kalman boxes, class-wise.
/// Times are media seconds, so that the same inputs give the same ids at any pace.
/// Not thread-safe: one camera's answers in order.
class Tracker {
 public:
  explicit Tracker(TrackerOptions options);
  ~Tracker();
  Tracker(Tracker&&) noexcept;
  Tracker& operator=(Tracker&&) noexcept;

  /// Sets `track` of each of an inferred frame's detections (candidates down to score_low
  /// included). The first detection of at least score_high gives an object its id at once; those
  /// which belong to no track get -1, as do boxes that are not finite. Ids count from 1. `time_s`
  /// must not go back, else the tracks end as with reset(). Cost: 0.01 ms for 20 objects.
  void update(double time_s, std::vector<Detection>& detections);

  /// Tracks of the ids in `carried` are where motion has carried their boxes by `time_s`, and have
  /// not been lost meanwhile. Then update() with the same time. A time that goes back is ignored.
  void follow(double time_s, std::span<const Detection> carried);

  /// Ends all tracks (scene cut, loop, reconnect). Ids are never given again.
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace framemill
