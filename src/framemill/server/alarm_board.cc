#include "framemill/server/alarm_board.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace framemill {
namespace {

/// Labels of metrics: more series than this are summed under "other".
constexpr std::size_t kSeriesMax = 2000;

}  // namespace

AlarmView AlarmBoard::take(const AlarmEvent& event) {
  const MutexLock lock(mu_);
  const auto [entry, is_new] = alarms_.try_emplace(event.alarm_id);
  AlarmView& alarm = entry->second;
  if (is_new) {
    // Of an alarm of an earlier run this may be the first that is heard.
    alarm.raised = event;
    alarm.raised.state = AlarmState::kRaised;
    alarm.raised.at = event.raised_at;
    alarm.raised.by.clear();
  }
  if (is_new && event.state == AlarmState::kRaised && !event.is_retold) {
    Series series{event.camera_id, event.rule, event.severity};
    if (!raised_.contains(series) && raised_.size() >= kSeriesMax)
      series = {"other", "other", event.severity};
    ++raised_[series];
  }
  switch (event.state) {
    case AlarmState::kRaised:
      break;
    case AlarmState::kAcknowledged:
      alarm.acknowledged_at = event.at;
      alarm.acknowledged_by = event.by;
      if (alarm.state == AlarmState::kRaised) alarm.state = AlarmState::kAcknowledged;
      break;
    case AlarmState::kCleared:
      alarm.cleared_at = event.at;
      alarm.state = AlarmState::kCleared;
      break;
  }
  AlarmView view = alarm;
  if (alarms_.size() > alarms_max_) {
    auto oldest = std::ranges::find_if(
        alarms_, [](const auto& one) { return one.second.state == AlarmState::kCleared; });
    alarms_.erase(oldest != alarms_.end() ? oldest : alarms_.begin());
  }
  return view;
}

void AlarmBoard::restore(AlarmView alarm) {
  const MutexLock lock(mu_);
  if (alarms_.size() >= alarms_max_) return;
  std::string id = alarm.raised.alarm_id;
  alarms_.try_emplace(std::move(id), std::move(alarm));
}

void AlarmBoard::set_acknowledge(Acknowledge acknowledge) {
  const MutexLock lock(mu_);
  acknowledge_ = std::move(acknowledge);
}

std::vector<AlarmView> AlarmBoard::newest(const Query& query) const {
  std::vector<AlarmView> found;
  const MutexLock lock(mu_);
  const auto begin =
      query.before.empty()
          ? alarms_.rbegin()
          : std::make_reverse_iterator(alarms_.lower_bound(std::string(query.before)));
  for (auto entry = begin; entry != alarms_.rend() && found.size() < query.limit; ++entry) {
    const AlarmView& alarm = entry->second;
    if (query.state && alarm.state != *query.state) continue;
    if (query.is_open_only && alarm.state == AlarmState::kCleared) continue;
    if (query.severity && alarm.raised.severity != *query.severity) continue;
    if (!query.camera.empty() && alarm.raised.camera_id != query.camera) continue;
    found.push_back(alarm);
  }
  return found;
}

std::optional<AlarmView> AlarmBoard::find(const std::string& alarm_id) const {
  const MutexLock lock(mu_);
  const auto found = alarms_.find(alarm_id);
  return found == alarms_.end() ? std::nullopt : std::optional(found->second);
}

std::map<std::string, int> AlarmBoard::open_counts() const {
  std::map<std::string, int> counts;
  const MutexLock lock(mu_);
  for (const auto& [id, alarm] : alarms_) {
    if (alarm.state != AlarmState::kCleared) ++counts[alarm.raised.camera_id];
  }
  return counts;
}

Result<AlarmView> AlarmBoard::acknowledge(const std::string& alarm_id, const std::string& by) {
  Acknowledge acknowledge;
  {
    const MutexLock lock(mu_);
    const auto found = alarms_.find(alarm_id);
    if (found == alarms_.end()) {
      return fail(ErrorCode::kNotFound,
                  "there is no such alarm; GET /api/v1/alarms?state=all lists them");
    }
    if (found->second.state != AlarmState::kRaised) return found->second;
    acknowledge = acknowledge_;
  }
  if (!acknowledge) {
    return fail(ErrorCode::kUnavailable, "the run: it is starting or ending; try again");
  }
  if (const Result<void> done = acknowledge(alarm_id, by); !done) return fail(done.error());
  // The rules answer with an event, which comes back by take(); whoever asked need not wait for it,
  // and must not be told after it that the alarm is still raised.
  const MutexLock lock(mu_);
  const auto found = alarms_.find(alarm_id);
  if (found == alarms_.end())
    return fail(ErrorCode::kNotFound, "the alarm was forgotten meanwhile");
  AlarmView& alarm = found->second;
  if (alarm.state == AlarmState::kRaised) {
    alarm.state = AlarmState::kAcknowledged;
    alarm.acknowledged_at = WallTime(std::chrono::system_clock::now().time_since_epoch());
    alarm.acknowledged_by = by;
  }
  return alarm;
}

std::map<AlarmBoard::Series, std::int64_t> AlarmBoard::raised_counts() const {
  const MutexLock lock(mu_);
  return raised_;
}

}  // namespace framemill
