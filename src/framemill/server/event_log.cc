#include "framemill/server/event_log.h"

#include <utility>

#include <spdlog/spdlog.h>

namespace framemill {

void EventLog::attach(std::unique_ptr<EventStore> store) {
  const Result<std::int64_t> last = store->last_id();
  const MutexLock lock(mu_);
  if (last) next_id_ = std::max(next_id_, *last + 1);
  store_ = std::move(store);
}

RunEvent EventLog::add(std::string_view kind, std::string_view camera, std::string_view text,
                       std::string_view by) {
  RunEvent event{.at = clock_.wall_now(),
                 .kind = std::string(kind),
                 .camera = std::string(camera),
                 .text = std::string(text),
                 .by = std::string(by)};
  std::shared_ptr<EventStore> store;
  {
    const MutexLock lock(mu_);
    event.id = next_id_++;
    events_.push_back(event);
    if (events_.size() > events_max_) events_.pop_front();
    store = store_;
  }
  if (!store) return event;
  const Result<void> kept = store->add(event);
  const MutexLock lock(mu_);
  if (!kept && !is_failure_told_)
    spdlog::warn("events are kept in memory only: {}", kept.error().message());
  is_failure_told_ = !kept;
  return event;
}

EventLog::Page EventLog::newest(const RunEventQuery& query) const {
  std::shared_ptr<EventStore> store;
  {
    const MutexLock lock(mu_);
    store = store_;
  }
  if (store) {
    Result<std::vector<RunEvent>> found = store->newest(query);
    if (found) return {*std::move(found), true};
  }
  Page page;
  const MutexLock lock(mu_);
  for (auto event = events_.rbegin(); event != events_.rend(); ++event) {
    if (page.events.size() == query.limit) break;
    if (query.before && event->id >= *query.before) continue;
    if (!query.kind.empty() && event->kind != query.kind) continue;
    if (!query.camera.empty() && event->camera != query.camera) continue;
    if (query.since && event->at < *query.since) continue;
    if (query.until && event->at >= *query.until) continue;
    page.events.push_back(*event);
  }
  return page;
}

}  // namespace framemill
