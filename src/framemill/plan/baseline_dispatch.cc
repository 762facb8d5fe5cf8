#include "framemill/plan/baseline_dispatch.h"

#include <algorithm>
#include <tuple>

namespace framemill {

BaselineDispatch::BaselineDispatch(Baseline kind, LiveDispatchOptions options, TimePoint /*now*/)
    : kind_(kind),
      options_(std::move(options)),
      waiting_(options_.cameras.size()),
      is_in_flight_(options_.cameras.size()) {
  for (const DispatchCamera& camera : options_.cameras) {
    timeout_ = timeout_ == Duration::zero() ? camera.period : std::min(timeout_, camera.period);
  }
}

void BaselineDispatch::add_lane(std::size_t batch_max) {
  const std::size_t lane = knees_.size();
  const bool is_measured = lane < options_.lane_knees.size() && options_.lane_knees[lane] > 0;
  knees_.push_back(
      std::min(is_measured ? options_.lane_knees[lane] : options_.knee_frames, batch_max));
}

std::optional<std::int64_t> BaselineDispatch::arrive(const ArrivedFrame& frame, TimePoint now) {
  const CameraIndex camera = frame.sampled.camera;
  const std::optional<std::int64_t> replaced = withdraw(camera);
  waiting_[camera] = Waiting{frame.seq, frame.captured_at, now, frame.lane};
  return replaced;
}

std::optional<std::int64_t> BaselineDispatch::withdraw(CameraIndex camera) {
  if (!waiting_[camera]) return std::nullopt;
  const std::int64_t seq = waiting_[camera]->seq;
  waiting_[camera].reset();
  return seq;
}

std::optional<std::int64_t> BaselineDispatch::waiting(CameraIndex camera) const {
  return waiting_[camera] ? std::optional(waiting_[camera]->seq) : std::nullopt;
}

bool BaselineDispatch::is_before(const Candidate& a, const Candidate& b) const {
  switch (kind_) {
    case Baseline::kEarliestDeadline:
      return std::tie(a.deadline, a.camera) < std::tie(b.deadline, b.camera);
    case Baseline::kFixedTimeout:
      return std::tie(a.arrived_at, a.camera) < std::tie(b.arrived_at, b.camera);
    case Baseline::kRoundRobin:
      return a.turn < b.turn;
  }
  return false;
}

void BaselineDispatch::decide(TimePoint now, std::optional<InferenceCause> /*audit*/,
                              DispatchDecision& decision) {
  decision.batch.clear();
  decision.unserved.clear();
  decision.is_audit_wanted = false;
  decision.wake_at.reset();
  if (batches_in_flight_ >= options_.batches_max) return;
  candidates_.clear();
  const auto cameras = static_cast<CameraIndex>(waiting_.size());
  for (CameraIndex camera = 0; camera < cameras; ++camera) {
    if (!waiting_[camera] || is_in_flight_[camera]) continue;
    const TimePoint deadline = waiting_[camera]->captured_at + options_.cameras[camera].slo;
    if (kind_ == Baseline::kEarliestDeadline && deadline < now) {
      decision.unserved.push_back({camera, *withdraw(camera)});
      continue;
    }
    const CameraIndex turn = (camera + cameras - next_turn_) % cameras;
    candidates_.push_back({deadline, waiting_[camera]->arrived_at, turn, camera});
  }
  if (candidates_.empty()) return;
  const auto before = [this](const Candidate& a, const Candidate& b) { return is_before(a, b); };
  const Candidate first = *std::ranges::min_element(candidates_, before);
  const LaneIndex lane = waiting_[first.camera]->lane;
  std::erase_if(candidates_, [&](const Candidate& c) { return waiting_[c.camera]->lane != lane; });
  if (kind_ == Baseline::kFixedTimeout && candidates_.size() < knees_[lane] &&
      now < first.arrived_at + timeout_) {
    decision.wake_at = first.arrived_at + timeout_;
    return;
  }
  const std::size_t count = std::min(candidates_.size(), knees_[lane]);
  const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(candidates_.begin(), end, candidates_.end(), before);
  decision.lane = lane;
  for (auto candidate = candidates_.begin(); candidate != end; ++candidate) {
    decision.batch.push_back({candidate->camera, *withdraw(candidate->camera), 0, false});
    is_in_flight_[candidate->camera] = true;
    next_turn_ = (candidate->camera + 1) % cameras;
  }
  ++batches_in_flight_;
}

void BaselineDispatch::complete(TimePoint /*now*/, LaneIndex /*lane*/, std::size_t /*frames*/,
                                std::span<const CameraIndex> cameras,
                                std::optional<Duration> /*service_time*/) {
  for (const CameraIndex camera : cameras) is_in_flight_[camera] = false;
  --batches_in_flight_;
}

}  // namespace framemill
