#pragma once

#include <deque>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/server/event_store.h"
#include "framemill/server/run_event.h"

namespace framemill {

/// The events of a run: the last ones in memory, and all of them in a store where there is one. The
/// store is written to by a thread of its own, so a database that somebody else holds makes nobody
/// wait. Thread-safety: all members, any thread; attach() once.
class EventLog {
 public:
  EventLog(const Clock& clock, std::size_t events_max) : clock_(clock), events_max_(events_max) {}
  EventLog(const EventLog&) = delete;
  /// Writes what waits, as far as the store takes it.
  ~EventLog();

  /// From here on events are kept there, too, and looked for there; numbers go on behind its last.
  void attach(std::unique_ptr<EventStore> store) EXCLUDES(mu_);
  /// Never waits for the store.
  RunEvent add(std::string_view kind, std::string_view camera, std::string_view text,
               std::string_view by = {}) EXCLUDES(mu_);
  struct Page {
    std::vector<RunEvent> events;  ///< newest first
    bool is_from_store = false;    ///< else from memory: there is none, or it cannot be read
  };
  [[nodiscard]] Page newest(const RunEventQuery& query) const EXCLUDES(mu_);

 private:
  void run() EXCLUDES(mu_);

  const Clock& clock_;
  const std::size_t events_max_;
  mutable Mutex mu_;
  std::deque<RunEvent> events_ GUARDED_BY(mu_);
  std::int64_t next_id_ GUARDED_BY(mu_) = 1;
  std::shared_ptr<EventStore> store_ GUARDED_BY(mu_);
  std::deque<RunEvent> waiting_ GUARDED_BY(mu_);  ///< for the store, oldest first
  bool is_over_ GUARDED_BY(mu_) = false;
  CondVar changed_;
  std::thread writer_;  // last member; started by attach()
};

}  // namespace framemill
