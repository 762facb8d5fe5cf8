#include "framemill/engine/frame_scheduler.h"

namespace framemill {

void add_camera(BudgetPace& pace, const ScheduledCamera& camera) {
  pace.add_camera(camera.rate_hz, camera.period == Duration::zero());
}

std::optional<BudgetPace> budget_pace(const FrameSchedulerOptions& options) {
  if (!options.budget_per_second) return std::nullopt;
  BudgetPace pace(*options.budget_per_second);
  for (const ScheduledCamera& camera : options.cameras) add_camera(pace, camera);
  return pace;
}

double adaptive_share_of(const FrameSchedulerOptions& options, double share) {
  if (options.audits == nullptr) return share;
  return options.audits->set_share_max(share).value_or(share);
}

InferencePolicyOptions policy_options(const FrameSchedulerOptions& options) {
  InferencePolicyOptions policy;
  for (const ScheduledCamera& camera : options.cameras) {
    policy.cameras.push_back({camera.policy, camera.priority});
  }
  policy.share = options.inference_share;
  policy.adaptive_share = options.adaptive_share;
  policy.similarity_min = options.similarity_min;
  return policy;
}

std::vector<InferredFrame> take_apart(BatchOutcome&& outcome) {
  std::vector<InferredFrame> frames;
  for (std::size_t i = 0; i < outcome.jobs.size(); ++i) {
    frames.push_back({std::move(outcome.jobs[i]), std::vector<Detection>{}, outcome.variant});
    if (outcome.detections) {
      frames.back().detections = std::move((*outcome.detections)[i]);
    } else {
      frames.back().detections = fail(outcome.detections.error());
    }
  }
  return frames;
}

std::optional<Correction> settle_inferred(const ScheduledCamera& camera, InferredFrame&& frame,
                                          bool is_kept_for_audit) {
  if (frame.detections) {
    return camera.ledger->settle_inferred(frame.job.seq, std::move(*frame.detections),
                                          std::move(frame.variant), frame.job.purpose,
                                          frame.job.rung, is_kept_for_audit);
  }
  if (camera.policy == PolicyKind::kFull) {
    camera.ledger->settle_none(frame.job.seq, DropReason::kFailed);
  } else {
    camera.ledger->settle_carried(frame.job.seq);
  }
  return std::nullopt;
}

void settle_carried(AuditDesk* audits, const ScheduledCamera& camera, LaneIndex lane,
                    InferenceJob job, TimePoint now) {
  if (audits != nullptr) {
    audits->settle_carried(lane, std::move(job), now);
  } else {
    camera.ledger->settle_carried(job.seq);
  }
}

}  // namespace framemill
