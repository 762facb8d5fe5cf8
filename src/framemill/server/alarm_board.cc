#include "framemill/server/alarm_board.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace framemill {
namespace {

/// Labels of metrics: more series than this are summed under "other".
constexpr std::size_t kSeriesMax = 2000;

AlarmView view_of(const Alarm& alarm) {
  AlarmView view;
  view.raised.alarm_id = alarm.id;
  view.raised.severity = alarm.severity;
  view.raised.camera_id = alarm.camera_id;
  view.raised.rule = alarm.rule;
  view.raised.kind = alarm.kind;
  view.raised.message = alarm.message;
  view.raised.at = alarm.raised_at;
  view.raised.run = alarm.run;
  view.raised.seq = alarm.seq;
  view.raised.picture_path = alarm.picture_path;
  view.state = alarm.state;
  view.acknowledged_at = alarm.acknowledged_at;
  view.acknowledged_by = alarm.acknowledged_by;
  view.cleared_at = alarm.cleared_at;
  return view;
}

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
    const auto oldest = std::ranges::find_if(
        alarms_, [](const auto& one) { return one.second.state == AlarmState::kCleared; });
    if (oldest != alarms_.end()) alarms_.erase(oldest);
  }
  return view;
}

void AlarmBoard::attach(Book book) {
  const Result<std::vector<Alarm>> open =
      book.list({.is_open_only = true, .limit = std::numeric_limits<std::size_t>::max()});
  const MutexLock lock(mu_);
  book_ = std::move(book);
  if (!open) return;  // the engine has said what is wrong with its disk
  for (const Alarm& alarm : *open) alarms_.try_emplace(alarm.id, view_of(alarm));
}

AlarmBoard::Book AlarmBoard::book() const {
  const MutexLock lock(mu_);
  return book_;
}

void AlarmBoard::set_acknowledge(Acknowledge acknowledge) {
  const MutexLock lock(mu_);
  acknowledge_ = std::move(acknowledge);
}

std::vector<AlarmView> AlarmBoard::newest(const Query& query) const {
  std::vector<AlarmView> found;
  if (const Book kept = book(); kept.list) {
    AlarmQuery asked{.is_open_only = query.is_open_only,
                     .state = query.state,
                     .severity = query.severity,
                     .before_id = std::string(query.before),
                     .limit = query.limit};
    if (!query.camera.empty()) asked.camera = std::string(query.camera);
    if (const Result<std::vector<Alarm>> alarms = kept.list(asked)) {
      for (const Alarm& alarm : *alarms) found.push_back(view_of(alarm));
      return found;
    }
  }
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
  if (const Book kept = book(); kept.find) {
    if (const Result<Alarm> alarm = kept.find(alarm_id)) return view_of(*alarm);
  }
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
  std::optional<AlarmView> view = find(alarm_id);
  if (!view) {
    return fail(ErrorCode::kNotFound,
                "there is no such alarm; GET /api/v1/alarms?state=all lists them");
  }
  if (view->state != AlarmState::kRaised) return *view;
  Acknowledge acknowledge;
  {
    const MutexLock lock(mu_);
    acknowledge = acknowledge_;
  }
  if (!acknowledge) {
    return fail(ErrorCode::kUnavailable, "the run: it is starting or ending; try again");
  }
  if (const Result<void> done = acknowledge(alarm_id, by); !done) return fail(done.error());
  // The rules answer with an event, which comes back by take(); whoever asked need not wait for it,
  // and must not be told after it that the alarm is still raised.
  {
    const MutexLock lock(mu_);
    if (const auto found = alarms_.find(alarm_id);
        found != alarms_.end() && found->second.state == AlarmState::kRaised) {
      AlarmView& alarm = found->second;
      alarm.state = AlarmState::kAcknowledged;
      alarm.acknowledged_at = WallTime(std::chrono::system_clock::now().time_since_epoch());
      alarm.acknowledged_by = by;
    }
  }
  view = find(alarm_id);
  if (!view) return fail(ErrorCode::kNotFound, "the alarm was forgotten meanwhile");
  return *view;
}

std::map<AlarmBoard::Series, std::int64_t> AlarmBoard::raised_counts() const {
  const MutexLock lock(mu_);
  return raised_;
}

}  // namespace framemill
