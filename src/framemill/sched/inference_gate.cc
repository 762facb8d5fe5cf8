#include "framemill/sched/inference_gate.h"

#include <algorithm>
#include <cmath>

#include "framemill/base/check.h"

namespace framemill {

double budget_share(const InferenceBudget& budget, double sampled_per_second) {
  double share = 1;
  if (budget.share) share = *budget.share;
  if (budget.per_second && sampled_per_second > 0) share = *budget.per_second / sampled_per_second;
  return std::clamp(share, 0.0, 1.0);
}

InferenceGate::InferenceGate(std::vector<PolicyKind> policies, double share) : share_(share) {
  CHECK(share >= 0 && share <= 1);
  cameras_.reserve(policies.size());
  for (const PolicyKind policy : policies) cameras_.push_back({.policy = policy});
}

InferenceGate::Verdict InferenceGate::decide(CameraIndex camera, bool is_scene_start) {
  CHECK(camera < cameras_.size());
  CameraShare& state = cameras_[camera];
  if (is_scene_start) state.since_start = 0;
  const std::int64_t frame = state.since_start++;
  if (state.policy == PolicyKind::kFull || frame == 0) return Verdict::kInfer;
  // Inference k falls on frame ceil(k / share). The small term makes .29 x 100 a whole 29.
  const auto due_by = [this](std::int64_t index) {
    return std::floor(static_cast<double>(index) * share_ + 1e-6);
  };
  return due_by(frame) > due_by(frame - 1) ? Verdict::kInfer : Verdict::kReuse;
}

}  // namespace framemill
