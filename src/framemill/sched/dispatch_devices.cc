#include "framemill/sched/dispatch_devices.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "framemill/base/check.h"

namespace framemill {

DispatchDevices::DispatchDevices(const std::vector<DispatchDevice>& devices) {
  CHECK(!devices.empty() && devices.size() <= kDevicesMax);
  for (const DispatchDevice& start : devices) {
    CHECK(start.batches_max >= 1);
    Device& device = devices_.emplace_back();
    device.start = start;
    device.times = start.lane_times;
  }
}

void DispatchDevices::add_lane(std::size_t batch_max, std::size_t knee, DeviceSet hosts) {
  const std::size_t lane = lanes_.size();
  lanes_.push_back({batch_max, hosts});
  for (Device& device : devices_) {
    if (device.times.size() <= lane) {
      device.times.push_back(device.times.empty() ? ServiceTimes{} : device.times.front());
    }
    const std::vector<std::size_t>& measured = device.start.lane_knees;
    device.wanted.push_back(lane < measured.size() && measured[lane] > 0 ? measured[lane] : knee);
    update_knees(device);
  }
}

void DispatchDevices::set_knee(std::size_t frames) {
  for (Device& device : devices_) {
    std::ranges::fill(device.wanted, frames);
    update_knees(device);
  }
}

void DispatchDevices::update_knees(Device& device) {
  device.knees.resize(lanes_.size());
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    device.knees[lane] = std::min({device.wanted[lane], lanes_[lane].batch_max, device.batch_max});
  }
}

void DispatchDevices::set_state(DeviceIndex index, bool is_serving, std::size_t batch_max) {
  Device& device = devices_[index];
  device.is_serving = is_serving;
  device.batch_max = std::clamp<std::size_t>(batch_max, 1, kBatchBuckets.back());
  update_knees(device);
}

DeviceSet DispatchDevices::servers(LaneIndex lane) const { return servers() & lanes_[lane].hosts; }

DeviceSet DispatchDevices::servers() const {
  DeviceSet servers = 0;
  for (DeviceIndex i = 0; i < devices_.size(); ++i)
    if (devices_[i].is_serving) servers |= DeviceSet{1} << i;
  return servers;
}

void DispatchDevices::begin_batch(TimePoint now, DeviceIndex index, LaneIndex lane,
                                  std::size_t frames) {
  Device& device = devices_[index];
  ++device.batches_in_flight;
  device.batches_due.push_back(now + device.times[lane].mean(bucket_for(frames)));
  device.sent_at = now;
}

void DispatchDevices::end_batch(DeviceIndex index, LaneIndex lane, std::size_t frames,
                                std::optional<Duration> service_time) {
  Device& device = devices_[index];
  const std::size_t bucket = bucket_for(frames);
  device.is_faster = service_time && 5 * *service_time <= 4 * device.times[lane].mean(bucket);
  if (service_time) device.times[lane].record(bucket, *service_time);
  CHECK(device.batches_in_flight > 0);
  --device.batches_in_flight;
  device.batches_due.pop_front();
}

std::size_t DispatchDevices::slots(DeviceSet of) const {
  std::size_t slots = 0;
  for (DeviceIndex i = 0; i < devices_.size(); ++i)
    if (devices_[i].is_serving && has_device(of, i)) slots += devices_[i].start.batches_max;
  return slots;
}

std::size_t DispatchDevices::free_slots(DeviceSet of) const {
  std::size_t free = 0;
  for (DeviceIndex i = 0; i < devices_.size(); ++i) {
    const Device& device = devices_[i];
    const std::size_t most = device.start.batches_max;
    if (device.is_serving && has_device(of, i))
      free += most - std::min(most, device.batches_in_flight);
  }
  return free;
}

bool DispatchDevices::is_full() const { return slots() > 0 && !has_free_slot(); }

std::size_t DispatchDevices::knee_max() const {
  std::size_t knee = 0;
  for (const Device& device : devices_) {
    if (!device.is_serving) continue;
    for (const std::size_t frames : device.knees) knee = std::max(knee, frames);
  }
  return knee;
}

DeviceIndex DispatchDevices::for_single(LaneIndex lane, DeviceSet kept) const {
  std::optional<DeviceIndex> best;
  const auto key = [&](DeviceIndex i) {
    return std::tuple(has_device(kept, i), times(i, lane).mean(1));
  };
  for (DeviceIndex i = 0; i < devices_.size(); ++i) {
    if (!can_serve(i, lane)) continue;
    if (devices_[i].batches_in_flight >= devices_[i].start.batches_max) continue;
    if (!best || key(i) < key(*best)) best = i;
  }
  return best.value_or(fastest(lane));
}

DeviceIndex DispatchDevices::fastest(LaneIndex lane) const {
  std::optional<DeviceIndex> best;
  const auto key = [&](DeviceIndex i) {
    return std::tuple(!devices_[i].is_serving, times(i, lane).mean(1));
  };
  for (DeviceIndex i = 0; i < devices_.size(); ++i) {
    if (!has_device(lanes_[lane].hosts, i)) continue;
    if (!best || key(i) < key(*best)) best = i;
  }
  return best.value_or(0);
}

const ServiceTimes* DispatchDevices::measured(LaneIndex lane) const {
  const std::vector<ServiceTimes>& times = devices_[fastest(lane)].start.lane_times;
  return lane < times.size() ? &times[lane] : nullptr;
}

DeviceState DispatchDevices::state_of(const Device& device) const {
  DeviceState state{.batches_in_flight = device.batches_in_flight,
                    .batches_max = device.start.batches_max};
  if (!device.batches_due.empty()) state.free_at = *std::ranges::min_element(device.batches_due);
  return state;
}

void DispatchDevices::sort_by_speed(std::span<const WaitingFrame> waiting) {
  order_.clear();
  speed_.assign(devices_.size(), Duration::max());
  for (DeviceIndex i = 0; i < devices_.size(); ++i) {
    if (!devices_[i].is_serving) continue;
    order_.push_back(i);
    for (const WaitingFrame& frame : waiting) {
      if (!can_serve(i, frame.model)) continue;
      speed_[i] = std::min(speed_[i], devices_[i].times[frame.model].mean(1));
    }
  }
  const auto key = [this](DeviceIndex i) {
    const Device& device = devices_[i];
    const double taken = static_cast<double>(device.batches_in_flight) /
                         static_cast<double>(device.start.batches_max);
    // Measured a tenth apart, two devices are the same.
    const double ns = std::max(1.0, static_cast<double>(speed_[i].count()));
    return std::tuple(static_cast<int>(std::log(ns) / std::log(1.1)), taken, i);
  };
  std::ranges::sort(order_, {}, key);
}

void DispatchDevices::ask(DeviceIndex index, bool is_first, std::span<const DeviceSet> kept,
                          std::span<const WaitingFrame> waiting,
                          std::span<const ExpectedArrival> expected, TimePoint now,
                          BatchPolicy policy) {
  const Device& device = devices_[index];
  offered_.clear();
  place_.clear();
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (!can_serve(index, waiting[i].model)) continue;
    const bool is_kept = waiting[i].priority != Priority::kCritical && !kept.empty() &&
                         has_device(kept[waiting[i].model], index);
    if (is_kept) {
      const Duration needed = device.times[waiting[i].model].p95(1) + policy.post_time;
      if (now + needed <= waiting[i].deadline || waiting[i].is_late_useful) ++chances_[i];
      continue;
    }
    offered_.push_back(waiting[i]);
    // Late is better than none, but not where it waits for nothing else than the wrong device.
    offered_.back().is_late_useful &= fastest(waiting[i].model) == index;
    place_.push_back(i);
  }
  DeviceState state = state_of(device);
  state.may_try =
      is_first || device.is_faster || !device.sent_at || now - *device.sent_at >= kTryEvery;
  policy.knee_of_model = device.knees;
  decide_batch(offered_, expected, now, policy, device.times, state, scratch_, answer_);
}

DeviceIndex DispatchDevices::choose(std::span<const WaitingFrame> waiting,
                                    std::span<const ExpectedArrival> expected, TimePoint now,
                                    BatchPolicy policy, BatchDecision& decision,
                                    std::span<const DeviceSet> kept) {
  if (devices_.size() == 1 && devices_.front().is_serving) {
    policy.knee_of_model = devices_.front().knees;
    decide_batch(waiting, expected, now, policy, devices_.front().times, state_of(devices_.front()),
                 scratch_, decision);
    return 0;
  }
  decision.send.clear();
  decision.hopeless.clear();
  decision.wake_at.reset();
  DeviceIndex chosen = 0;
  chances_.assign(waiting.size(), 0);
  sort_by_speed(waiting);
  bool is_settled = false;  // sent, or a faster one waits for company
  for (const DeviceIndex index : order_) {
    ask(index, index == order_.front(), kept, waiting, expected, now, policy);
    for (const std::size_t place : place_) ++chances_[place];
    for (const std::size_t i : answer_.hopeless) --chances_[place_[i]];
    if (!answer_.send.empty()) {
      if (!is_settled) {
        chosen = index;
        for (const std::size_t i : answer_.send) decision.send.push_back(place_[i]);
        if (answer_.wake_at) decision.wake_at = answer_.wake_at;
        is_settled = true;
      }
      continue;
    }
    const bool is_free = devices_[index].batches_in_flight < devices_[index].start.batches_max;
    if (is_free && answer_.hopeless.size() < offered_.size()) is_settled = true;
    if (answer_.wake_at) {
      decision.wake_at =
          decision.wake_at ? std::min(*decision.wake_at, *answer_.wake_at) : answer_.wake_at;
    }
  }
  // What is sent by a try is hopeless by the clock.
  for (const std::size_t i : decision.send) chances_[i] = 1;
  for (std::size_t i = 0; i < waiting.size(); ++i)
    if (chances_[i] == 0) decision.hopeless.push_back(i);
  return chosen;
}

}  // namespace framemill
