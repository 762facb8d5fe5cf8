#include "framemill/sched/audit_plan.h"

#include <algorithm>
#include <cmath>

#include "framemill/base/check.h"
#include "framemill/sched/split_mix.h"

namespace framemill {
namespace {

constexpr double kRateGain = 1.0 / 8;     // of a period in the smoothed rates
constexpr double kBacklogGain = 1.0 / 8;  // of what is missing or too much, made up in a period
/// Weights stay bounded, so that one frame cannot stand for all.
constexpr double kProbabilityMin = .001;
/// Times the audits per inference. Where almost all is exact, auditing the rest more often would
/// tell little, and would flood the queue when a rush begins.
constexpr double kProbabilityMaxFactor = 4;
constexpr double kBacklogPeriods = 8;  // what could not be drawn in so many periods is forgotten

/// Uniform in [0, 1).
double chance_of(std::uint64_t seed, CameraIndex camera, std::int64_t seq) {
  const std::uint64_t bits =
      mix64(mix64(seed + mix64(camera + 1)) + static_cast<std::uint64_t>(seq));
  return std::ldexp(static_cast<double>(bits >> 11U), -53);
}

double probability_for(double draws, double inexact, double audits_per_inference) {
  const double most =
      std::clamp(kProbabilityMaxFactor * audits_per_inference, kProbabilityMin, 1.0);
  return inexact > 0 ? std::clamp(draws / inexact, kProbabilityMin, most) : most;
}

}  // namespace

AuditPlan::AuditPlan(const AuditOptions& options)
    : options_(options),
      audits_per_inference_(options.share / (1 - options.share)),
      probability_(probability_for(audits_per_inference_ * options.first_share_inferred,
                                   1 - options.first_share_inferred, audits_per_inference_)) {
  CHECK(options.share >= 0 && options.share <= .5);
  CHECK(options.waiting_max >= 1);
  CHECK(options.first_share_inferred >= 0 && options.first_share_inferred <= 1);
}

AuditPlan::Verdict AuditPlan::consider(CameraIndex camera, std::int64_t seq, TimePoint now) {
  if (!is_audited(camera)) return Verdict::kNotDrawn;
  ++period_.inexact;
  if (options_.share == 0 || chance_of(options_.seed, camera, seq) >= probability_)
    return Verdict::kNotDrawn;
  ++drawn_;
  ++period_drawn_;
  if (waiting_.size() >= options_.waiting_max) {
    ++lost_;
    return Verdict::kLost;
  }
  waiting_.push_back({.camera = camera, .seq = seq, .drawn_at = now, .weight = 1 / probability_});
  return Verdict::kDrawn;
}

void AuditPlan::begin_period() {
  recent_.inferences += kRateGain * (period_.inferences - recent_.inferences);
  recent_.inexact += kRateGain * (period_.inexact - recent_.inexact);
  known_ += kRateGain * (1 - known_);
  const double draws = audits_per_inference_ * recent_.inferences / known_;
  const double backlog_max = kBacklogPeriods * draws + 1;
  backlog_ += audits_per_inference_ * period_.inferences - static_cast<double>(period_drawn_);
  backlog_ = std::clamp(backlog_, -backlog_max, backlog_max);
  // A rush shows in the last period before it does in the smoothed rates.
  const double inexact = std::max(recent_.inexact / known_, period_.inexact);
  if (recent_.inferences + recent_.inexact > 0)
    probability_ = probability_for(draws + kBacklogGain * backlog_, inexact, audits_per_inference_);
  period_ = {};
  period_drawn_ = 0;
}

std::deque<WaitingAudit>::iterator AuditPlan::find(CameraIndex camera, std::int64_t seq) {
  return std::ranges::find_if(waiting_, [camera, seq](const WaitingAudit& audit) {
    return audit.camera == camera && audit.seq == seq;
  });
}

void AuditPlan::hold(CameraIndex camera, std::int64_t seq) {
  if (const auto audit = find(camera, seq); audit != waiting_.end()) audit->is_held = true;
}

void AuditPlan::release(CameraIndex camera, std::int64_t seq) {
  if (const auto audit = find(camera, seq); audit != waiting_.end()) audit->is_held = false;
}

void AuditPlan::drop(CameraIndex camera, std::int64_t seq) {
  if (const auto audit = find(camera, seq); audit != waiting_.end()) waiting_.erase(audit);
}

std::size_t AuditPlan::waiting() const {
  return static_cast<std::size_t>(std::ranges::count(waiting_, false, &WaitingAudit::is_held));
}

const WaitingAudit* AuditPlan::front() const {
  const auto first = std::ranges::find(waiting_, false, &WaitingAudit::is_held);
  return first == waiting_.end() ? nullptr : &*first;
}

bool AuditPlan::is_due(TimePoint now) const {
  const WaitingAudit* const first = front();
  return first != nullptr && now - first->drawn_at >= options_.due_after;
}

WaitingAudit AuditPlan::take() {
  const auto first = std::ranges::find(waiting_, false, &WaitingAudit::is_held);
  CHECK(first != waiting_.end());
  const WaitingAudit audit = *first;
  waiting_.erase(first);
  return audit;
}

void AuditPlan::expire(TimePoint now, std::vector<WaitingAudit>& lost) {
  while (!waiting_.empty() && now - waiting_.front().drawn_at > options_.wait_max) {
    lost.push_back(waiting_.front());
    waiting_.pop_front();
    ++lost_;
  }
}

std::optional<TimePoint> AuditPlan::next_expiry() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.front().drawn_at + options_.wait_max + Duration(1);
}

}  // namespace framemill
