#include "framemill/sched/device_health.h"

#include <algorithm>

#include "framemill/base/check.h"
#include "framemill/sched/service_times.h"

namespace framemill {
namespace {

/// A lane that is out fails so many probes before its device is doubted where nothing else runs.
constexpr int kLaneProbesMax = 2;

/// Half of a batch, as a bucket; at least 1.
std::size_t half_bucket(std::size_t pictures) {
  std::size_t half = 1;
  for (const std::size_t bucket : kBatchBuckets)
    if (2 * bucket <= pictures) half = bucket;
  return half;
}

}  // namespace

DeviceHealth::DeviceHealth(const DeviceHealthPolicy& policy, std::size_t batch_max)
    : policy_(policy), batch_max_(batch_max) {
  CHECK(batch_max >= 1);
}

void DeviceHealth::ProbeTimer::take_out(const DeviceHealthPolicy& policy, TimePoint now) {
  if (!back_since || now - *back_since >= policy.steady) wait = policy.probe_first;
  wait_longer(policy, now);
}

void DeviceHealth::ProbeTimer::wait_longer(const DeviceHealthPolicy& policy, TimePoint now) {
  at = now + wait;
  wait = std::min(2 * wait, policy.probe_most);
}

// ---- batches

DeviceHealth::Lane& DeviceHealth::lane_at(LaneIndex lane) {
  if (lane >= lanes_.size()) lanes_.resize(lane + 1);
  return lanes_[lane];
}

std::size_t DeviceHealth::lanes_out() const {
  if (!may_serve()) return 0;
  return static_cast<std::size_t>(std::ranges::count_if(lanes_, &Lane::is_out));
}

std::optional<TimePoint> DeviceHealth::lane_out_since(LaneIndex lane) const {
  if (!may_serve() || may_serve(lane)) return std::nullopt;
  return lanes_[lane].out_since;
}

void DeviceHealth::started(std::uint64_t id, LaneIndex lane, std::size_t pictures, TimePoint now,
                           Duration expected) {
  CHECK(may_serve(lane) && pictures >= 1);
  lane_at(lane).is_known = true;
  const auto limit = std::chrono::duration_cast<Duration>(expected * policy_.hang_factor);
  const Duration patience =
      expected > Duration::zero() ? std::max(limit, policy_.hang_least) : policy_.hang_unknown;
  batches_.push_back({id, lane, pictures, now + patience});
}

DeviceHealth::Change DeviceHealth::finished(std::uint64_t id, TimePoint now,
                                            std::optional<ErrorCode> error) {
  const auto found = std::ranges::find(batches_, id, &Batch::id);
  if (found == batches_.end()) {
    // Of a batch given up: a device that answers again is worth a look at once.
    if (!error) hope(now);
    return {};
  }
  const Batch batch = *found;
  batches_.erase(found);
  Lane& lane = lanes_[batch.lane];
  if (!error) {
    lane.errors = 0;
    lane.well_at = now;
    return {};
  }
  switch (*error) {
    case ErrorCode::kCancelled:
    case ErrorCode::kInvalidArgument:
      return {};
    case ErrorCode::kUnavailable:
      return take_out(OutReason::kGone, batch.lane, now);
    case ErrorCode::kResourceExhausted:
      if (batch.pictures > 1) {
        batch_max_ = std::min(batch_max_, half_bucket(batch.pictures));
        return {};
      }
      break;
    default:
      break;
  }
  if (lane.is_out || ++lane.errors < policy_.errors_max) return {};
  if (!is_other_well(batch.lane, TimePoint::min()))
    return take_out(OutReason::kErrors, batch.lane, now);
  put_out(lane, now);
  return {.lane_out = batch.lane};
}

bool DeviceHealth::is_other_well(LaneIndex lane, TimePoint since) const {
  for (LaneIndex i = 0; i < lanes_.size(); ++i) {
    const Lane& other = lanes_[i];
    if (i != lane && !other.is_out && other.errors == 0 && other.well_at && *other.well_at >= since)
      return true;
  }
  return false;
}

DeviceHealth::Change DeviceHealth::tick(TimePoint now) {
  if (state_ == HealthState::kProbing && now >= timer_.at) probe_failed(now);
  const auto hung =
      std::ranges::find_if(batches_, [now](const Batch& batch) { return now >= batch.hangs_at; });
  return hung != batches_.end() ? take_out(OutReason::kHung, hung->lane, now) : Change{};
}

std::optional<TimePoint> DeviceHealth::wake_at() const {
  std::optional<TimePoint> wake;
  const auto look_at = [&wake](TimePoint at) { wake = wake ? std::min(*wake, at) : at; };
  if (state_ != HealthState::kServing) look_at(timer_.at);
  for (const Lane& lane : lanes_)
    if (may_serve() && lane.is_out && !lane.is_probing) look_at(lane.timer.at);
  for (const Batch& batch : batches_) look_at(batch.hangs_at);
  return wake;
}

// ---- out and back

void DeviceHealth::put_out(Lane& lane, TimePoint now) {
  lane.is_out = true;
  lane.errors = 0;
  lane.probes_failed = 0;
  lane.out_since = now;
  lane.timer.take_out(policy_, now);
}

void DeviceHealth::put_back(Lane& lane, TimePoint now) {
  lane.is_out = false;
  lane.errors = 0;
  lane.well_at = now;
  lane.timer.back_since = now;
}

DeviceHealth::Change DeviceHealth::take_out(OutReason reason, LaneIndex lane, TimePoint now) {
  Change change{.is_taken_out = true};
  for (const Batch& batch : batches_) change.lost.push_back(batch.id);
  batches_.clear();
  if (!lanes_[lane].is_out) put_out(lanes_[lane], now);
  timer_.take_out(policy_, now);
  state_ = HealthState::kOut;
  reason_ = reason;
  probe_lane_ = lane;
  probes_failed_ = 0;
  return change;
}

DeviceHealth::Change DeviceHealth::take_back(LaneIndex lane, TimePoint now) {
  state_ = HealthState::kServing;
  reason_ = OutReason::kNone;
  timer_.back_since = now;
  put_back(lanes_[lane], now);
  for (Lane& other : lanes_) {
    other.errors = 0;
    // Those that failed as well have to show it themselves.
    if (other.is_out) other.timer.at = now + policy_.probe_first;
  }
  return {.is_taken_back = true};
}

// ---- probes

std::optional<LaneIndex> DeviceHealth::begin_probe(TimePoint now) {
  if (!may_serve()) return begin_device_probe(now);
  for (LaneIndex i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    if (!lane.is_out || lane.is_probing || now < lane.timer.at) continue;
    lane.is_probing = true;
    return i;
  }
  return std::nullopt;
}

std::optional<LaneIndex> DeviceHealth::begin_device_probe(TimePoint now) {
  if (state_ != HealthState::kOut || now < timer_.at) return std::nullopt;
  for (std::size_t tried = 0; tried < lanes_.size(); ++tried) {
    Lane& lane = lanes_[probe_lane_];
    if (lane.is_known && !lane.is_probing) {
      lane.is_probing = true;
      state_ = HealthState::kProbing;
      timer_.at = now + policy_.hang_least;
      return probe_lane_;
    }
    probe_lane_ = static_cast<LaneIndex>((probe_lane_ + 1) % lanes_.size());
  }
  // While earlier pictures have not come back there is nothing to learn from others.
  probe_failed(now);
  return std::nullopt;
}

/// Another lane is next: this one may be what is broken.
void DeviceHealth::probe_failed(TimePoint now) {
  state_ = HealthState::kOut;
  ++probes_failed_;
  probe_lane_ = static_cast<LaneIndex>((probe_lane_ + 1) % lanes_.size());
  timer_.wait_longer(policy_, now);
}

void DeviceHealth::hope(TimePoint now) {
  if (state_ == HealthState::kOut) timer_.at = std::min(timer_.at, now);
}

DeviceHealth::Change DeviceHealth::probed(LaneIndex index, TimePoint now,
                                          std::optional<ErrorCode> error) {
  Lane& lane = lane_at(index);
  lane.is_probing = false;
  if (may_serve()) return lane_probed(index, now, error);
  if (state_ != HealthState::kProbing || index != probe_lane_) return {};
  if (!error) return take_back(index, now);
  probe_failed(now);
  return {};
}

DeviceHealth::Change DeviceHealth::lane_probed(LaneIndex index, TimePoint now,
                                               std::optional<ErrorCode> error) {
  Lane& lane = lanes_[index];
  if (!lane.is_out) return {};
  if (!error) {
    put_back(lane, now);
    return {.lane_back = index};
  }
  lane.timer.wait_longer(policy_, now);
  if (++lane.probes_failed < kLaneProbesMax || is_other_well(index, lane.out_since)) return {};
  return take_out(OutReason::kErrors, index, now);
}

void DeviceHealth::renew() {
  for (Lane& lane : lanes_) lane.is_probing = false;
}

}  // namespace framemill
