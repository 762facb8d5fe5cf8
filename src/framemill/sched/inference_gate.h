#pragma once

#include <cstdint>
#include <vector>

#include "framemill/core/camera.h"
#include "framemill/core/policy.h"

namespace framemill {

/// The share of all sampled frames that `budget` allows when the cameras are sampled at
/// `sampled_per_second` in total; 1 without a budget or without a known rate. In 0..1.
[[nodiscard]] double budget_share(const InferenceBudget& budget, double sampled_per_second);

/// The one place that says which sampled frames are to be inferred and which are answered from the
/// camera's state. Policies are deterministic in the order of calls. Not thread-safe; O(1) a frame.
class InferenceGate {
 public:
  enum class Verdict { kInfer, kReuse };

  /// One entry a camera. `share` (0..1) from budget_share(); without a budget hold infers all.
  InferenceGate(std::vector<PolicyKind> policies, double share);

  /// For the next sampled frame of `camera`, in order. A scene start is always inferred; the count
  /// of the share begins with it again. In any window of n sampled frames of a camera hold infers
  /// at most share * n + 1, plus one per scene start. The first frame of a camera starts a scene.
  [[nodiscard]] Verdict decide(CameraIndex camera, bool is_scene_start);

 private:
  struct CameraShare {
    PolicyKind policy = PolicyKind::kFull;
    std::int64_t since_start = 0;  ///< frames since the scene began; 0: the next one begins it
  };
  std::vector<CameraShare> cameras_;
  double share_;
};

}  // namespace framemill
