#include "framemill/server/event_log.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <spdlog/spdlog.h>

#include "framemill/base/thread_name.h"

namespace framemill {
namespace {

/// A store that takes nothing for so many events loses the oldest of them; the memory has the last.
constexpr std::size_t kWaitingMax = 4096;

bool fits(const RunEvent& event, const RunEventQuery& query) {
  return !(query.before && event.id >= *query.before) &&
         (query.kind.empty() || event.kind == query.kind) &&
         (query.camera.empty() || event.camera == query.camera) &&
         !(query.since && event.at < *query.since) && !(query.until && event.at >= *query.until);
}

/// Those of `events` that the query asks for, newest first.
std::vector<RunEvent> newest_of(const std::deque<RunEvent>& events, const RunEventQuery& query) {
  std::vector<RunEvent> found;
  for (auto event = events.rbegin(); event != events.rend() && found.size() < query.limit; ++event)
    if (fits(*event, query)) found.push_back(*event);
  return found;
}

}  // namespace

EventLog::~EventLog() {
  {
    const MutexLock lock(mu_);
    is_over_ = true;
  }
  changed_.notify_all();
  if (writer_.joinable()) writer_.join();
}

void EventLog::attach(std::unique_ptr<EventStore> store) {
  const Result<std::int64_t> last = store->last_id();
  {
    const MutexLock lock(mu_);
    if (last) next_id_ = std::max(next_id_, *last + 1);
    store_ = std::move(store);
  }
  writer_ = std::thread([this] { run(); });
}

RunEvent EventLog::add(std::string_view kind, std::string_view camera, std::string_view text,
                       std::string_view by) {
  RunEvent event{.at = clock_.wall_now(),
                 .kind = std::string(kind),
                 .camera = std::string(camera),
                 .text = std::string(text),
                 .by = std::string(by)};
  {
    const MutexLock lock(mu_);
    event.id = next_id_++;
    events_.push_back(event);
    if (events_.size() > events_max_) events_.pop_front();
    if (!store_) return event;
    waiting_.push_back(event);
    if (waiting_.size() > kWaitingMax) waiting_.pop_front();
  }
  changed_.notify_all();
  return event;
}

void EventLog::run() {
  name_this_thread("events");
  bool is_failing = false;
  while (true) {
    std::shared_ptr<EventStore> store;
    RunEvent event;
    {
      const MutexLock lock(mu_);
      while (waiting_.empty() && !is_over_) changed_.wait(mu_);
      if (waiting_.empty() || (is_over_ && is_failing)) return;
      event = waiting_.front();  // stays there until it is in the store: newest() has to find it
      store = store_;
    }
    const Result<void> kept = store->add(event);
    if (!kept && !is_failing)
      spdlog::warn("events are kept in memory only: {}", kept.error().message());
    is_failing = !kept;
    const MutexLock lock(mu_);
    if (!waiting_.empty() && waiting_.front().id == event.id) waiting_.pop_front();
  }
}

EventLog::Page EventLog::newest(const RunEventQuery& query) const {
  std::shared_ptr<EventStore> store;
  std::vector<RunEvent> waiting;
  {
    const MutexLock lock(mu_);
    store = store_;
    if (store) waiting = newest_of(waiting_, query);
  }
  if (store) {
    if (Result<std::vector<RunEvent>> found = store->newest(query)) {
      // What waited just now may be in the store by this time.
      if (!waiting.empty())
        std::erase_if(*found, [&](const RunEvent& e) { return e.id >= waiting.back().id; });
      waiting.insert(waiting.end(), std::make_move_iterator(found->begin()),
                     std::make_move_iterator(found->end()));
      if (waiting.size() > query.limit) waiting.resize(query.limit);
      return {std::move(waiting), true};
    }
  }
  const MutexLock lock(mu_);
  return {newest_of(events_, query), false};
}

}  // namespace framemill
