#pragma once

#include <memory>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/camera.h"
#include "framemill/core/frame.h"
#include "framemill/core/policy.h"
#include "framemill/engine/answer_ledger.h"
#include "framemill/engine/detector_pool.h"
#include "framemill/sched/service_times.h"

namespace framemill {

/// What a scheduler has to know of a camera; constant during a run.
struct ScheduledCamera {
  AnswerLedger* ledger = nullptr;  ///< outlives the scheduler
  std::size_t model = 0;           ///< index in the DetectorPool
  Priority priority = Priority::kNormal;
  PolicyKind policy = PolicyKind::kFull;
  Duration slo{0};
  Duration period{0};  ///< expected between sampled frames; 0: unknown
};

struct FrameSchedulerOptions {
  std::vector<ScheduledCamera> cameras;  ///< by CameraIndex
  double inference_share = 1.0;          ///< from the budget, see InferenceGate
  std::size_t knee_frames = 1;
  std::vector<ServiceTimes> lane_times;            ///< measured at start, by LaneIndex
  Duration tick = std::chrono::milliseconds(100);  ///< pace fast
};

/// Takes sampled frames, decides which are inferred and when, and settles every one of them in its
/// camera's ledger. Thread-safety: offer() and end_camera() from any thread, one per camera.
class FrameScheduler {
 public:
  virtual ~FrameScheduler() = default;
  /// `frame` has entered the camera's ledger and has a picture. May block at pace fast, never live.
  virtual void offer(CameraIndex camera, Frame&& frame) = 0;
  /// The camera will offer no more.
  virtual void end_camera(CameraIndex camera) = 0;
  /// Answers what was offered, for at most `patience`; what is left then ends as `late`. Later
  /// offers are settled at once. Idempotent.
  virtual void stop(Duration patience) = 0;
  /// Returns once all cameras have ended and all their frames are settled (pace fast), or after
  /// stop().
  virtual void wait_until_done() = 0;
};

/// The policies of `cameras`, as InferenceGate takes them.
[[nodiscard]] std::vector<PolicyKind> policies_of(const std::vector<ScheduledCamera>& cameras);

/// Settles the frames of a batch: inferred, or where the backend failed `failed` under policy full
/// and the last boxes otherwise.
void settle_batch(const std::vector<ScheduledCamera>& cameras, BatchOutcome&& outcome);

}  // namespace framemill
