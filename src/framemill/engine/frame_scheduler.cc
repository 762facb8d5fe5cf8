#include "framemill/engine/frame_scheduler.h"

#include <spdlog/spdlog.h>

namespace framemill {

std::vector<PolicyKind> policies_of(const std::vector<ScheduledCamera>& cameras) {
  std::vector<PolicyKind> policies;
  for (const ScheduledCamera& camera : cameras) policies.push_back(camera.policy);
  return policies;
}

void settle_batch(const std::vector<ScheduledCamera>& cameras, BatchOutcome&& outcome) {
  if (!outcome.detections) {
    spdlog::warn("a batch of {} failed: {}", outcome.jobs.size(),
                 outcome.detections.error().message());
  }
  for (std::size_t i = 0; i < outcome.jobs.size(); ++i) {
    const InferenceJob& job = outcome.jobs[i];
    const ScheduledCamera& camera = cameras[job.camera];
    if (outcome.detections) {
      camera.ledger->settle_inferred(job.seq, std::move((*outcome.detections)[i]), outcome.variant);
    } else if (camera.policy == PolicyKind::kFull) {
      camera.ledger->settle_none(job.seq, DropReason::kFailed);
    } else {
      camera.ledger->settle_reused(job.seq);
    }
  }
}

}  // namespace framemill
