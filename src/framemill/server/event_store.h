#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/base/result.h"
#include "framemill/engine/sqlite/database.h"
#include "framemill/server/run_event.h"

namespace framemill {

/// The events of all runs in a table beside the answers of a sqlite sink, so that they survive a
/// restart. Bounded by `keep` and 200,000 rows. Thread-safety: all members, any thread.
class EventStore {
 public:
  /// Makes the table where it is missing. `keep`: older events are deleted; 0: by number only.
  /// Errors: those of Database::open() and run().
  static Result<std::unique_ptr<EventStore>> open(const std::string& path, Duration keep);

  /// Of the newest event; 0: there is none.
  [[nodiscard]] Result<std::int64_t> last_id() EXCLUDES(mu_);
  /// Errors: those of Database::run(); the event is then not kept.
  Result<void> add(const RunEvent& event) EXCLUDES(mu_);
  /// Does not wait for add().
  [[nodiscard]] Result<std::vector<RunEvent>> newest(const RunEventQuery& query)
      EXCLUDES(reading_mu_);

 private:
  EventStore(std::unique_ptr<Database> database, std::unique_ptr<Database> reading, Duration keep)
      : keep_(keep), database_(std::move(database)), reading_(std::move(reading)) {}
  Result<void> tidy(const RunEvent& newest) REQUIRES(mu_);

  const Duration keep_;
  Mutex mu_;
  std::unique_ptr<Database> database_ GUARDED_BY(mu_);
  int adds_until_tidy_ GUARDED_BY(mu_) = 0;
  Mutex reading_mu_;
  std::unique_ptr<Database> reading_ GUARDED_BY(reading_mu_);
};

}  // namespace framemill
