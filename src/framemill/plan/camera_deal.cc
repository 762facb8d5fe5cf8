#include "framemill/plan/camera_deal.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// A device's part of what the groups of one model and SLO ask for.
struct Slot {
  std::size_t device = 0;
  double planned_qps = 0;
  double dealt_qps = 0;
};

/// Deals the cameras of a group, which ask for `qps` each.
class GroupDealer {
 public:
  GroupDealer(std::vector<Slot>& slots, double qps) : slots_(slots), qps_(qps) {
    for (std::size_t i = 0; i < slots.size(); ++i) heap_.emplace_back(share_with_one_more(i), i);
    std::ranges::make_heap(heap_, std::greater<>());
  }

  std::size_t deal_one() {
    std::ranges::pop_heap(heap_, std::greater<>());
    auto& [share, slot] = heap_.back();
    slots_[slot].dealt_qps += qps_;
    share = share_with_one_more(slot);
    const std::size_t device = slots_[slot].device;
    std::ranges::push_heap(heap_, std::greater<>());
    return device;
  }

 private:
  double share_with_one_more(std::size_t slot) const {
    return (slots_[slot].dealt_qps + qps_) / slots_[slot].planned_qps;
  }

  std::vector<Slot>& slots_;
  const double qps_;
  std::vector<std::pair<double, std::size_t>> heap_;  ///< the least share first, then the first
};

/// The slots of all groups; those of one model and SLO share theirs.
class SlotTable {
 public:
  /// Of devices that get a camera each there are at most `cameras`.
  SlotTable(std::span<const DeviceLayout> layouts, std::size_t cameras) {
    std::size_t first = 0;
    for (const DeviceLayout& layout : layouts) {
      const std::size_t devices = std::min(cameras, static_cast<std::size_t>(layout.count));
      for (const PlannedModel& model : layout.models) add(model, first, devices);
      first += devices;
    }
  }

  std::vector<Slot>& of(const CameraGroup& group) {
    const auto found = slots_of_.find(group.name);
    CHECK(found != slots_of_.end());
    return slots_[found->second];
  }

 private:
  void add(const PlannedModel& model, std::size_t first, std::size_t devices) {
    CHECK(!model.groups.empty());
    const auto [known, is_new] = slots_of_.emplace(model.groups.front(), slots_.size());
    if (is_new) slots_.emplace_back();
    for (const std::string& group : model.groups) slots_of_.emplace(group, known->second);
    for (std::size_t i = 0; i < devices; ++i)
      slots_[known->second].push_back({first + i, model.qps});
  }

  std::vector<std::vector<Slot>> slots_;
  std::map<std::string, std::size_t> slots_of_;  ///< by group
};

/// Places without a gap, in the same order.
void close_gaps(std::vector<std::size_t>& deal) {
  std::vector<std::size_t> used = deal;
  std::ranges::sort(used);
  used.erase(std::unique(used.begin(), used.end()), used.end());
  for (std::size_t& device : deal)
    device = static_cast<std::size_t>(std::ranges::lower_bound(used, device) - used.begin());
}

}  // namespace

std::vector<std::size_t> deal_in_turn(const Workload& workload, std::size_t devices) {
  CHECK(devices >= 1);
  std::vector<std::size_t> deal(count_cameras(workload));
  for (std::size_t i = 0; i < deal.size(); ++i) deal[i] = i % devices;
  return deal;
}

std::vector<std::size_t> deal_as_laid_out(const Workload& workload,
                                          std::span<const DeviceLayout> layouts) {
  const std::size_t cameras = count_cameras(workload);
  std::vector<std::size_t> deal;
  deal.reserve(cameras);
  SlotTable slots(layouts, cameras);
  for (const CameraGroup& group : workload.cameras) {
    GroupDealer dealer(slots.of(group), group.rate_hz * inferred_share(group));
    for (std::int64_t i = 0; i < group.count; ++i) deal.push_back(dealer.deal_one());
  }
  close_gaps(deal);
  return deal;
}

}  // namespace framemill
