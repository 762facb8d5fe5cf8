#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/config/week_schedule.h"
#include "framemill/core/answer.h"
#include "framemill/engine/rules/alarm_gate.h"
#include "framemill/engine/rules/object_rule.h"

namespace framemill {

/// Where a rule's alarm has to change.
struct RuleChange {
  std::size_t rule = 0;  ///< its place in CameraRules::rules()
  bool is_raised = false;
  std::string message;              ///< for people; of a raise
  WallTime at;                      ///< of the frame, or of the look at the camera
  std::optional<std::int64_t> seq;  ///< of the sampled frame, where one did it
};

/// What a rule sees now, for dashboards and counters.
struct RuleFigure {
  double value = 0;         ///< objects, objects a minute, seconds of stay, share
  std::int64_t events = 0;  ///< crossings and arrivals since the start
  bool is_raised = false;
};

/// How a camera stands, apart from what it shows. Unset: not known, which changes nothing.
struct CameraCondition {
  std::optional<bool> is_down;
  std::optional<bool> is_frozen;
  std::optional<double> fidelity;     ///< 0..1
  std::optional<double> device_busy;  ///< 0..1; of the whole run
};

/// All rules of one camera (or those of the whole run): decides from its answers and its condition
/// which alarms are to be raised and cleared.
/// Answers drive the rules about objects, by their capture time: answers without detections (origin
/// none) neither raise nor clear anything, a pause in the answers counts as at most `pause_max`,
/// and an answer that was seen before is left out. The rules about the camera's condition are
/// driven by note(). Pure: no clock, no lock; time is an argument. Cost: microseconds an answer.
class CameraRules {
 public:
  struct Options {
    std::vector<RuleSettings> rules;  ///< checked; `kind` set
    std::vector<ZoneSettings> zones;
    std::vector<LineSettings> lines;
    std::vector<std::string> labels;  ///< of the camera's model, by class id
    double rate_hz = 10;              ///< sampled frames a second
    std::vector<bool> is_raised;      ///< by rule, as a run before left it; empty: none
    std::function<int(WallTime)> minute_of_week = local_minute_of_week;
  };

  /// Errors: kInvalidArgument where a rule names a class that the model does not have.
  [[nodiscard]] static Result<CameraRules> create(Options options);

  /// `captured`: when the frame was captured, in any time that does not go back; media time where
  /// frames are not live.
  [[nodiscard]] std::vector<RuleChange> take(const Answer& answer, TimePoint captured);
  [[nodiscard]] std::vector<RuleChange> note(const CameraCondition& condition, TimePoint now,
                                             WallTime wall_now);

  [[nodiscard]] const std::vector<RuleSettings>& rules() const { return options_.rules; }
  [[nodiscard]] RuleFigure figure(std::size_t rule) const;
  /// True where some rule needs the fidelity, which costs something to know.
  [[nodiscard]] bool wants_fidelity() const;

 private:
  struct Entry {
    WeekSchedule schedule;
    AlarmGate gate;
    std::optional<ObjectRule> objects;  ///< for rules about objects
    bool is_beyond = false;             ///< threshold rules about the condition
    RuleFigure figure;
  };

  explicit CameraRules(Options options) : options_(std::move(options)) {}
  bool is_on_duty(const Entry& entry, WallTime at) const;
  /// Whether the condition of rule `i` holds, and why; empty: not known.
  std::optional<bool> judge(std::size_t i, const CameraCondition& condition, std::string& message);

  Options options_;
  std::vector<Entry> entries_;
  Duration watched_{0};
  std::optional<TimePoint> last_captured_;
  std::int64_t last_seq_ = -1;
};

}  // namespace framemill
