#pragma once

#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/server/event_store.h"
#include "framemill/server/run_event.h"

namespace framemill {

/// The events of a run: the last ones in memory, and all of them in a store where there is one.
/// Thread-safety: all members, any thread.
class EventLog {
 public:
  EventLog(const Clock& clock, std::size_t events_max) : clock_(clock), events_max_(events_max) {}

  /// From here on events are kept there, too, and looked for there; numbers go on behind its last.
  void attach(std::unique_ptr<EventStore> store) EXCLUDES(mu_);
  RunEvent add(std::string_view kind, std::string_view camera, std::string_view text,
               std::string_view by = {}) EXCLUDES(mu_);
  struct Page {
    std::vector<RunEvent> events;  ///< newest first
    bool is_from_store = false;    ///< else from memory: there is none, or it cannot be read
  };
  [[nodiscard]] Page newest(const RunEventQuery& query) const EXCLUDES(mu_);

 private:
  const Clock& clock_;
  const std::size_t events_max_;
  mutable Mutex mu_;
  std::deque<RunEvent> events_ GUARDED_BY(mu_);
  std::int64_t next_id_ GUARDED_BY(mu_) = 1;
  std::shared_ptr<EventStore> store_ GUARDED_BY(mu_);
  bool is_failure_told_ GUARDED_BY(mu_) = false;
};

}  // namespace framemill
