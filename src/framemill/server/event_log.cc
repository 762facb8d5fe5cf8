#include "framemill/server/event_log.h"

namespace framemill {

RunEvent EventLog::add(std::string_view kind, std::string_view camera, std::string_view text,
                       std::string_view by) {
  const MutexLock lock(mu_);
  RunEvent event{.id = next_id_++,
                 .at = clock_.wall_now(),
                 .kind = std::string(kind),
                 .camera = std::string(camera),
                 .text = std::string(text),
                 .by = std::string(by)};
  events_.push_back(event);
  if (events_.size() > events_max_) events_.pop_front();
  return event;
}

std::vector<RunEvent> EventLog::newest(const Query& query) const {
  std::vector<RunEvent> found;
  const MutexLock lock(mu_);
  for (auto event = events_.rbegin(); event != events_.rend(); ++event) {
    if (found.size() == query.limit) break;
    if (query.before && event->id >= *query.before) continue;
    if (!query.kind.empty() && event->kind != query.kind) continue;
    if (!query.camera.empty() && event->camera != query.camera) continue;
    found.push_back(*event);
  }
  return found;
}

}  // namespace framemill
