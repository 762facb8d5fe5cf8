#include "framemill/engine/audit_desk.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

constexpr Duration kPeriod = std::chrono::milliseconds(250);

constexpr Duration kShareEvery = std::chrono::seconds(1);
/// So long without enough audits is worth a word.
constexpr Duration kLearningPatience = std::chrono::minutes(2);

std::vector<std::uint32_t> groups_of(const std::vector<AuditDesk::Camera>& cameras) {
  std::vector<std::uint32_t> groups;
  for (const AuditDesk::Camera& camera : cameras) groups.push_back(camera.group);
  return groups;
}

}  // namespace

AuditDesk::AuditDesk(const std::vector<Camera>& cameras, const AuditOptions& options,
                     const std::optional<FidelityControllerOptions>& target)
    : target_(target ? target->target : 0), plan_(options), book_(groups_of(cameras)) {
  for (const Camera& camera : cameras) {
    cameras_.append(camera);
    plan_.add_camera(camera.policy);
  }
  if (target) controller_.emplace(*target);
}

void AuditDesk::add_camera(const Camera& camera) {
  const MutexLock lock(mu_);
  book_.add_camera(camera.group);
  plan_.add_camera(camera.policy);
  cameras_.append(camera);
}

bool AuditDesk::is_idle(CameraIndex camera) const {
  const MutexLock lock(mu_);
  const auto is_of_camera = [camera](const auto& entry) { return entry.first.first == camera; };
  return std::ranges::none_of(waiting_, is_of_camera) &&
         std::ranges::none_of(running_, is_of_camera);
}

void AuditDesk::remove_camera(CameraIndex camera) {
  const MutexLock lock(mu_);
  book_.remove_camera(camera);
}

FidelityFigure AuditDesk::recent_total() const {
  const MutexLock lock(mu_);
  return book_.recent_total();
}

FidelityFigure AuditDesk::recent_of_camera(CameraIndex camera) const {
  const MutexLock lock(mu_);
  return book_.recent_of_camera(camera);
}

void AuditDesk::settle_carried(LaneIndex lane, InferenceJob job, TimePoint now) {
  AnswerLedger& ledger = *cameras_[job.camera].ledger;
  const std::int64_t seq = job.seq;
  job.rung = 0;
  ledger.settle_carried(seq, draw(lane, std::move(job), now));
}

bool AuditDesk::draw_inferred(LaneIndex lane, InferenceJob job, TimePoint now) {
  CHECK(job.rung > 0);
  return draw(lane, std::move(job), now);
}

bool AuditDesk::draw(LaneIndex lane, InferenceJob&& job, TimePoint now) {
  if (!is_audited(job.camera) || job.picture == nullptr) return false;
  const MutexLock lock(mu_);
  if (is_closed_) return false;
  const Key key{job.camera, job.seq};
  const AuditPlan::Verdict verdict = plan_.consider(job.camera, job.seq, now);
  if (verdict == AuditPlan::Verdict::kLost) count_lost(job.camera);
  if (verdict != AuditPlan::Verdict::kDrawn) return false;
  plan_.hold(job.camera, job.seq);  // until count_answer()
  job.purpose = InferencePurpose::kAudit;
  waiting_[key] = {lane, std::move(job)};
  return true;
}

void AuditDesk::count_answer(const Answer& answer) {
  if (!is_audited(answer.camera)) return;
  const MutexLock lock(mu_);
  const Key key{answer.camera, answer.stamp.seq};
  if (waiting_.contains(key) && answer.origin == Origin::kNone) {
    waiting_.erase(key);
    plan_.drop(key.first, key.second);
  } else if (waiting_.contains(key)) {
    plan_.release(key.first, key.second);
  }
  if (answer.origin == Origin::kNone) {
    book_.count_unanswered(answer.camera);
    if (controller_) controller_->count_unanswered();
  } else if (answer.origin == Origin::kInferred && answer.rung == 0) {
    const std::int64_t sure = std::ranges::count_if(
        answer.detections, [](const Detection& d) { return d.score > AgreementThresholds{}.hi; });
    book_.count_exact(answer.camera, sure);
    if (controller_) controller_->count_exact(sure);
  } else {
    book_.count_inexact(answer.camera);
    if (controller_) controller_->count_inexact(answer.origin == Origin::kInferred);
  }
}

void AuditDesk::count_inference(CameraIndex camera) {
  if (!is_audited(camera)) return;
  const MutexLock lock(mu_);
  plan_.count_inference(camera);
}

void AuditDesk::tick(TimePoint now) {
  std::vector<WaitingAudit> lost;
  {
    const MutexLock lock(mu_);
    if (!period_ends_at_) period_ends_at_ = now + kPeriod;
    if (now >= *period_ends_at_) {
      plan_.begin_period();
      period_ends_at_ = now + kPeriod;
    }
    plan_.expire(now, lost);
    for (const WaitingAudit& audit : lost) {
      waiting_.erase({audit.camera, audit.seq});
      count_lost(audit.camera);
    }
  }
  for (const WaitingAudit& audit : lost) cameras_[audit.camera].ledger->drop_audit(audit.seq);
}

AuditDesk::Urgency AuditDesk::urgency(TimePoint now) const {
  const MutexLock lock(mu_);
  if (plan_.front() == nullptr) return Urgency::kNone;
  return plan_.is_due(now) ? Urgency::kDue : Urgency::kWaiting;
}

std::size_t AuditDesk::waiting() const {
  const MutexLock lock(mu_);
  return plan_.waiting();
}

std::optional<std::pair<LaneIndex, InferenceJob>> AuditDesk::take() {
  const MutexLock lock(mu_);
  if (plan_.front() == nullptr) return std::nullopt;
  const WaitingAudit audit = plan_.take();
  const auto found = waiting_.find({audit.camera, audit.seq});
  CHECK(found != waiting_.end());
  std::pair<LaneIndex, InferenceJob> taken{found->second.lane, std::move(found->second.job)};
  waiting_.erase(found);
  running_[{audit.camera, audit.seq}] = audit.weight;
  return taken;
}

std::optional<AgreementCounts> AuditDesk::settle(InferenceJob&& job,
                                                 Result<std::vector<Detection>>&& detections,
                                                 std::shared_ptr<const std::string> variant) {
  AnswerLedger& ledger = *cameras_[job.camera].ledger;
  std::optional<AgreementCounts> counts;
  if (detections) {
    counts = ledger.settle_audit(job.seq, std::move(*detections), std::move(variant));
  } else {
    ledger.drop_audit(job.seq);
  }
  const MutexLock lock(mu_);
  const auto running = running_.find({job.camera, job.seq});
  CHECK(running != running_.end());
  if (counts) {
    book_.add_audit(job.camera, *counts, running->second);
    if (controller_) controller_->add_audit(*counts, running->second, job.rung > 0);
  } else if (!detections) {
    count_lost(job.camera);
  }
  running_.erase(running);
  return counts;
}

void AuditDesk::count_lost(CameraIndex camera) {
  book_.add_lost_audit(camera);
  if (controller_) controller_->add_lost_audit();
}

void AuditDesk::learn(const Correction& correction) {
  const MutexLock lock(mu_);
  if (!controller_ || correction.doubt.age < 1) return;
  controller_->learn(correction.counts, static_cast<double>(correction.doubt.age));
}

bool AuditDesk::is_share_due(TimePoint now) const {
  const MutexLock lock(mu_);
  return controller_ && (!share_due_at_ || now >= *share_due_at_);
}

double AuditDesk::update_share(TimePoint now, std::optional<double> share_managed) {
  const MutexLock lock(mu_);
  CHECK(controller_);
  share_due_at_ = now + kShareEvery;
  if (!learning_since_) learning_since_ = now;
  const double share = controller_->update(share_managed);
  const FidelityController::State state = controller_->state();
  if (state != told_) {
    told_ = state;
    if (state == FidelityController::State::kHolding) {
      spdlog::info("fidelity: {}", controller_->explanation());
    } else {
      spdlog::warn("fidelity: {}", controller_->explanation());
    }
  } else if (state == FidelityController::State::kLearning && !is_delay_told_ &&
             now - *learning_since_ >= kLearningPatience) {
    is_delay_told_ = true;
    spdlog::warn(
        "fidelity: {}, so whether it is held is not known; a larger share for `audit`, or more "
        "time, helps",
        controller_->explanation());
  }
  return share;
}

void AuditDesk::set_share_bounds(double share_min, double share_max) {
  const MutexLock lock(mu_);
  if (controller_) controller_->set_bounds(share_min, share_max);
}

std::optional<double> AuditDesk::set_share_max(double share_max) {
  const MutexLock lock(mu_);
  if (!controller_) return std::nullopt;
  controller_->set_share_max(share_max);
  return controller_->share();
}

void AuditDesk::close() {
  std::vector<Key> left;
  {
    const MutexLock lock(mu_);
    is_closed_ = true;
    for (const auto& [key, waiting] : waiting_) left.push_back(key);
    waiting_.clear();
    for (const auto& [camera, seq] : left) plan_.drop(camera, seq);
  }
  for (const auto& [camera, seq] : left) cameras_[camera].ledger->drop_audit(seq);
}

std::optional<double> AuditDesk::share_wanted() const {
  const MutexLock lock(mu_);
  if (!controller_) return std::nullopt;
  return controller_->share_wanted();
}

FidelityFigure AuditDesk::total() const {
  const MutexLock lock(mu_);
  return book_.total();
}

FidelityFigure AuditDesk::of_camera(CameraIndex camera) const {
  const MutexLock lock(mu_);
  return book_.of_camera(camera);
}

std::optional<FidelityTargetReport> AuditDesk::target() const {
  const MutexLock lock(mu_);
  if (!controller_) return std::nullopt;
  return FidelityTargetReport{.target = target_,
                              .state = controller_->state(),
                              .figure = controller_->figure(),
                              .share = controller_->share(),
                              .share_wanted = controller_->share_wanted(),
                              .explanation = controller_->explanation()};
}

}  // namespace framemill
