#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"

namespace framemill {

/// Something that happened in a run, for people.
struct RunEvent {
  std::int64_t id = 0;  ///< grows by one
  WallTime at;
  std::string kind;    ///< "camera_added", "camera_down", "config_reloaded", ...
  std::string camera;  ///< empty: of the whole run
  std::string text;
  std::string by;  ///< who asked for it; empty: nobody
};

/// The last events of a run; older ones are forgotten. Thread-safety: all members, any thread.
class EventLog {
 public:
  EventLog(const Clock& clock, std::size_t events_max) : clock_(clock), events_max_(events_max) {}

  RunEvent add(std::string_view kind, std::string_view camera, std::string_view text,
               std::string_view by = {}) EXCLUDES(mu_);
  struct Query {
    std::string_view kind, camera;  ///< empty: all
    std::optional<std::int64_t> before;
    std::size_t limit = 100;
  };
  /// Newest first.
  [[nodiscard]] std::vector<RunEvent> newest(const Query& query) const EXCLUDES(mu_);

 private:
  const Clock& clock_;
  const std::size_t events_max_;
  mutable Mutex mu_;
  std::deque<RunEvent> events_ GUARDED_BY(mu_);
  std::int64_t next_id_ GUARDED_BY(mu_) = 1;
};

}  // namespace framemill
