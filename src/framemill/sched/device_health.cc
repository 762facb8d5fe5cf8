#include "framemill/sched/device_health.h"

#include <algorithm>

#include "framemill/base/check.h"
#include "framemill/sched/service_times.h"

namespace framemill {
namespace {

/// Half of a batch, as a bucket; at least 1.
std::size_t half_bucket(std::size_t pictures) {
  std::size_t half = 1;
  for (const std::size_t bucket : kBatchBuckets)
    if (2 * bucket <= pictures) half = bucket;
  return half;
}

}  // namespace

DeviceHealth::DeviceHealth(const DeviceHealthPolicy& policy, std::size_t batch_max)
    : policy_(policy), batch_max_(batch_max), probe_wait_(policy.probe_first) {
  CHECK(batch_max >= 1);
}

void DeviceHealth::started(std::uint64_t id, std::size_t pictures, TimePoint now,
                           Duration expected) {
  CHECK(may_serve() && pictures >= 1);
  const auto limit = std::chrono::duration_cast<Duration>(expected * policy_.hang_factor);
  const Duration patience =
      expected > Duration::zero() ? std::max(limit, policy_.hang_least) : policy_.hang_unknown;
  batches_.push_back({id, pictures, now + patience});
}

DeviceHealth::Change DeviceHealth::finished(std::uint64_t id, TimePoint now,
                                            std::optional<ErrorCode> error) {
  const auto found = std::ranges::find(batches_, id, &Batch::id);
  if (found == batches_.end()) {
    // Of a batch given up: a device that answers again is worth a look at once.
    if (!error) hope(now);
    return {};
  }
  const std::size_t pictures = found->pictures;
  batches_.erase(found);
  if (!error) {
    errors_ = 0;
    return {};
  }
  switch (*error) {
    case ErrorCode::kCancelled:
    case ErrorCode::kInvalidArgument:
      return {};
    case ErrorCode::kUnavailable:
      return take_out(OutReason::kGone, now);
    case ErrorCode::kResourceExhausted:
      if (pictures > 1) {
        batch_max_ = std::min(batch_max_, half_bucket(pictures));
        return {};
      }
      break;
    default:
      break;
  }
  return ++errors_ >= policy_.errors_max ? take_out(OutReason::kErrors, now) : Change{};
}

DeviceHealth::Change DeviceHealth::tick(TimePoint now) {
  if (state_ == HealthState::kProbing && now >= probe_at_) {
    state_ = HealthState::kOut;
    wait_for_probe(now);
  }
  const bool is_hung =
      std::ranges::any_of(batches_, [now](const Batch& batch) { return now >= batch.hangs_at; });
  return is_hung ? take_out(OutReason::kHung, now) : Change{};
}

std::optional<TimePoint> DeviceHealth::wake_at() const {
  std::optional<TimePoint> wake;
  if (state_ != HealthState::kServing) wake = probe_at_;
  for (const Batch& batch : batches_)
    wake = wake ? std::min(*wake, batch.hangs_at) : batch.hangs_at;
  return wake;
}

bool DeviceHealth::begin_probe(TimePoint now) {
  if (state_ != HealthState::kOut || now < probe_at_) return false;
  state_ = HealthState::kProbing;
  probe_at_ = now + policy_.hang_least;
  return true;
}

void DeviceHealth::hope(TimePoint now) {
  if (state_ == HealthState::kOut) probe_at_ = std::min(probe_at_, now);
}

DeviceHealth::Change DeviceHealth::probed(TimePoint now, std::optional<ErrorCode> error) {
  if (state_ != HealthState::kProbing) return {};
  if (error) {
    state_ = HealthState::kOut;
    wait_for_probe(now);
    return {};
  }
  state_ = HealthState::kServing;
  reason_ = OutReason::kNone;
  errors_ = 0;
  back_since_ = now;
  return {.is_taken_out = false, .is_taken_back = true, .lost = {}};
}

DeviceHealth::Change DeviceHealth::take_out(OutReason reason, TimePoint now) {
  Change change{.is_taken_out = true, .is_taken_back = false, .lost = {}};
  for (const Batch& batch : batches_) change.lost.push_back(batch.id);
  batches_.clear();
  // One that fails again and again is tried ever less often.
  if (!back_since_ || now - *back_since_ >= policy_.steady) probe_wait_ = policy_.probe_first;
  state_ = HealthState::kOut;
  reason_ = reason;
  errors_ = 0;
  wait_for_probe(now);
  return change;
}

void DeviceHealth::wait_for_probe(TimePoint now) {
  probe_at_ = now + probe_wait_;
  probe_wait_ = std::min(2 * probe_wait_, policy_.probe_most);
}

}  // namespace framemill
