#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/base/result.h"
#include "framemill/core/alarm.h"
#include "framemill/engine/alarms/alarm.h"

namespace framemill {

/// One alarm as it stands, from its events.
struct AlarmView {
  AlarmEvent raised;  ///< the event that raised it; what came later changes only the rest
  AlarmState state = AlarmState::kRaised;
  std::optional<WallTime> acknowledged_at, cleared_at;
  std::string acknowledged_by;
};

/// The alarms of a run as people see them. The engine's rules own alarms; this keeps what they
/// said, bounded: of more than `alarms_max` the oldest cleared ones are forgotten; open ones stay,
/// of which a rule has one at most. What is asked of it, it asks of their book where it has one.
/// Thread-safety: all members, any thread.
class AlarmBoard {
 public:
  /// Tells the rules that somebody has seen an alarm. Errors: kNotFound, kFailedPrecondition.
  using Acknowledge =
      std::function<Result<void>(const std::string& alarm_id, const std::string& by)>;

  explicit AlarmBoard(std::size_t alarms_max) : alarms_max_(alarms_max) {}

  /// What the rules said; events of an alarm come in order, repetitions do no harm. Only raises of
  /// this run are counted.
  AlarmView take(const AlarmEvent& event) EXCLUDES(mu_);
  /// The rules' own record, over all runs. Both outlive the last call of the board.
  struct Book {
    std::function<Result<std::vector<Alarm>>(const AlarmQuery&)> list;
    std::function<Result<Alarm>(const std::string& alarm_id)> find;
  };
  /// From here on questions go to `book`. What is open in it is on the board, too, and counts as
  /// none of this run's raises.
  void attach(Book book) EXCLUDES(mu_);
  void set_acknowledge(Acknowledge acknowledge) EXCLUDES(mu_);

  struct Query {
    std::optional<AlarmState> state;  ///< none: all
    bool is_open_only = false;        ///< not cleared
    std::optional<AlarmSeverity> severity;
    std::string_view camera;  ///< empty: all
    std::string_view before;  ///< only alarms raised before this one
    std::size_t limit = 100;
  };
  /// Newest first.
  [[nodiscard]] std::vector<AlarmView> newest(const Query& query) const EXCLUDES(mu_);
  [[nodiscard]] std::optional<AlarmView> find(const std::string& alarm_id) const EXCLUDES(mu_);
  /// By camera: how many are not cleared.
  [[nodiscard]] std::map<std::string, int> open_counts() const EXCLUDES(mu_);
  /// Without effect on one that is acknowledged or cleared. Errors: kNotFound, and those of the
  /// rules; kUnavailable where no rules are there.
  Result<AlarmView> acknowledge(const std::string& alarm_id, const std::string& by) EXCLUDES(mu_);

  /// Raises of this run so far, by camera, rule and severity.
  using Series = std::tuple<std::string, std::string, AlarmSeverity>;
  [[nodiscard]] std::map<Series, std::int64_t> raised_counts() const EXCLUDES(mu_);

 private:
  [[nodiscard]] Book book() const EXCLUDES(mu_);

  const std::size_t alarms_max_;
  mutable Mutex mu_;
  std::map<std::string, AlarmView> alarms_ GUARDED_BY(mu_);  ///< by id, which sorts by time
  std::map<Series, std::int64_t> raised_ GUARDED_BY(mu_);
  Acknowledge acknowledge_ GUARDED_BY(mu_);
  Book book_ GUARDED_BY(mu_);
};

}  // namespace framemill
