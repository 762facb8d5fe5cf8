#include "framemill/engine/group_meter.h"

#include <algorithm>
#include <numeric>

#include "framemill/base/check.h"

namespace framemill {

std::int64_t GroupFigures::sampled() const {
  return std::accumulate(outcomes.begin(), outcomes.end(), std::int64_t{0});
}

std::int64_t GroupFigures::answered() const {
  const auto of = [this](Outcome outcome) { return outcomes[static_cast<std::size_t>(outcome)]; };
  return of(Outcome::kInferred) + of(Outcome::kPropagated) + of(Outcome::kReused);
}

GroupMeter::GroupMeter(std::vector<std::size_t> group_of_camera, std::size_t groups)
    : group_of_camera_(std::move(group_of_camera)),
      groups_(groups),
      last_on_time_(group_of_camera_.size(), TimePoint::min()) {
  for (const std::size_t group : group_of_camera_) CHECK(group < groups);
}

void GroupMeter::set_window(TimePoint begin, TimePoint end) {
  const MutexLock lock(mu_);
  begin_ = begin;
  end_ = end;
}

void GroupMeter::add(const Answer& answer) {
  const MutexLock lock(mu_);
  CHECK(answer.camera < group_of_camera_.size());
  const TimePoint captured = answer.stamp.captured_mono;
  if (captured < begin_ || captured >= end_) return;
  GroupFigures& group = groups_[group_of_camera_[answer.camera]];
  const Outcome outcome = outcome_of(answer.origin, answer.drop_reason);
  ++group.outcomes[static_cast<std::size_t>(outcome)];
  if (answer.origin == Origin::kNone) return;
  if (answer.origin == Origin::kInferred && answer.latency) {
    group.inferred_latency.record(*answer.latency);
  }
  if (!answer.is_on_time) {
    ++group.overdue;
    return;
  }
  if (answer.origin == Origin::kInferred) ++group.inferred_in_time;
  TimePoint& last = last_on_time_[answer.camera];
  if (last != TimePoint::min()) group.worst_gap = std::max(group.worst_gap, captured - last);
  last = captured;
}

std::vector<GroupFigures> GroupMeter::figures() const {
  const MutexLock lock(mu_);
  return groups_;
}

}  // namespace framemill
