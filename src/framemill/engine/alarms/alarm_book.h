#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/base/result.h"
#include "framemill/engine/alarms/alarm.h"
#include "framemill/engine/sqlite/database.h"

namespace framemill {

/// A change of an alarm in the order in which it was made. Numbers count up over all runs.
struct NumberedEvent {
  std::int64_t number = 0;
  AlarmEvent event;
};

/// All alarms and what became of them, in a SQLite database that survives the end of the process at
/// any moment. At most one alarm is open for each rule of a camera, so that a rule that still holds
/// after a restart raises nothing again. Where the disk refuses, the book goes on in memory and
/// tries again with the next change or flush(). Events wait in it until confirm() says that all who
/// have to know know them, also over a restart.
/// Thread-safety: all members, any thread; each may wait for the disk.
class AlarmBook {
 public:
  /// What a rule brings to a raise; the book gives the rest.
  struct Raise {
    std::string id;  ///< of the alarm, if one is made: new_alarm_id()
    CameraId camera_id;
    std::string rule, kind, message, run, picture_path;
    AlarmSeverity severity = AlarmSeverity::kWarning;
    bool is_latched = false;
    WallTime at;
    std::optional<std::int64_t> seq;
  };

  /// Errors: those of Database::open(); one process at a time.
  static Result<std::unique_ptr<AlarmBook>> create(const std::string& path);

  /// True where an alarm of this rule is open, and its cause not gone.
  [[nodiscard]] bool is_raised(const CameraId& camera, const std::string& rule) const EXCLUDES(mu_);
  /// An open alarm of the same rule goes on instead of a second one: false.
  bool raise(const Raise& raise) EXCLUDES(mu_);
  /// The cause has gone. A latched alarm that nobody has acknowledged stays open. No alarm:
  /// nothing.
  void clear(const CameraId& camera, const std::string& rule, WallTime at) EXCLUDES(mu_);
  /// Clears open alarms whose rule `is_known` does not know (any more).
  template <typename IsKnown>
  void clear_unknown(const IsKnown& is_known, WallTime at) EXCLUDES(mu_) {
    for (const auto& [camera, rule] : open_rules())
      if (!is_known(camera, rule)) close_rule(camera, rule, at);
  }
  /// Somebody has seen it; a latched one whose cause has gone is cleared by that. Again: nothing
  /// more happens. Errors: kNotFound; kFailedPrecondition where it is cleared already.
  Result<Alarm> acknowledge(const std::string& id, const std::string& by, WallTime at)
      EXCLUDES(mu_);

  [[nodiscard]] Result<std::vector<Alarm>> list(const AlarmQuery& query) const EXCLUDES(mu_);
  [[nodiscard]] Result<Alarm> find(const std::string& id) const EXCLUDES(mu_);
  [[nodiscard]] std::vector<Alarm> open_alarms() const EXCLUDES(mu_);

  /// Events not yet taken in this run, oldest first: at the start those that no run before saw
  /// confirmed.
  [[nodiscard]] std::vector<NumberedEvent> take_events() EXCLUDES(mu_);
  /// All events up to `number` have arrived where they have to.
  void confirm(std::int64_t number) EXCLUDES(mu_);

  /// Forgets alarms that were cleared before `before`; returns the paths of their pictures.
  std::vector<std::string> forget(WallTime before) EXCLUDES(mu_);
  /// An alarm's picture was deleted to make room.
  void drop_picture(const std::string& id) EXCLUDES(mu_);
  /// Writes what the disk refused so far. Errors: the disk's.
  Result<void> flush() EXCLUDES(mu_);

 private:
  using RuleKey = std::pair<CameraId, std::string>;

  explicit AlarmBook(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  Result<void> load();
  std::vector<RuleKey> open_rules() const EXCLUDES(mu_);
  void close_rule(const CameraId& camera, const std::string& rule, WallTime at) EXCLUDES(mu_);
  void add_event(const Alarm& alarm, WallTime at, const std::string& by) REQUIRES(mu_);
  void close(Alarm& alarm, WallTime at) REQUIRES(mu_);
  Result<void> save() REQUIRES(mu_);
  Result<void> save_in_transaction() REQUIRES(mu_);

  mutable Mutex mu_;
  const std::unique_ptr<Database> database_ GUARDED_BY(mu_);
  std::map<RuleKey, Alarm> open_ GUARDED_BY(mu_);
  std::map<std::string, Alarm> unsaved_ GUARDED_BY(mu_);  ///< by id
  std::vector<NumberedEvent> unsaved_events_ GUARDED_BY(mu_);
  std::vector<NumberedEvent> fresh_ GUARDED_BY(mu_);  ///< for take_events()
  std::int64_t last_number_ GUARDED_BY(mu_) = 0;
  std::int64_t confirmed_ GUARDED_BY(mu_) = 0;        ///< up to here
  std::int64_t saved_confirmed_ GUARDED_BY(mu_) = 0;  ///< likewise, in the database
};

/// An id that sorts by `at` (to the millisecond) and is unique.
[[nodiscard]] std::string new_alarm_id(WallTime at);

}  // namespace framemill
