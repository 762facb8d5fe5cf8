#include "framemill/engine/rules/camera_rules.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/config/rule_defaults.h"

namespace framemill {
namespace {

/// A pause in a camera's answers counts as at most so long: what happens meanwhile is not seen.
constexpr Duration kPauseMax = std::chrono::seconds(2);
constexpr double kPausePeriods = 3;

template <typename Area>
const Area* find_area(const std::vector<Area>& areas, const std::string& name) {
  const auto found = std::ranges::find(areas, name, &Area::name);
  return found == areas.end() ? nullptr : &*found;
}

Result<std::vector<bool>> wanted_classes(const RuleSettings& rule,
                                         const std::vector<std::string>& labels) {
  std::vector<bool> wanted;
  if (rule.classes.empty()) return wanted;
  wanted.resize(labels.size());
  for (const std::string& label : rule.classes) {
    const auto found = std::ranges::find(labels, label);
    if (found == labels.end()) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("rules[{}].classes: \"{}\" is not a label of the camera's model, "
                              "which has {}",
                              rule.id, label, fmt::join(labels, ", ")));
    }
    wanted[static_cast<std::size_t>(found - labels.begin())] = true;
  }
  return wanted;
}

}  // namespace

Result<CameraRules> CameraRules::create(Options options) {
  CameraRules rules(std::move(options));
  const Options& o = rules.options_;
  for (std::size_t i = 0; i < o.rules.size(); ++i) {
    const RuleSettings& rule = o.rules[i];
    CHECK(rule.kind.has_value());
    Result<WeekSchedule> schedule = WeekSchedule::parse(rule.schedule);
    if (!schedule) return fail(schedule.error());
    // How long an object stays is what dwell itself measures.
    const Duration hold = *rule.kind == RuleKind::kDwell ? Duration(0) : hold_for(rule);
    const bool is_raised = i < o.is_raised.size() && o.is_raised[i];
    Entry entry{.schedule = *std::move(schedule),
                .gate = AlarmGate(hold, clear_after(rule), is_raised),
                .objects = {},
                .is_beyond = is_raised,
                .figure = {}};
    if (is_object_rule(*rule.kind)) {
      Result<std::vector<bool>> wanted = wanted_classes(rule, o.labels);
      if (!wanted) return fail(wanted.error());
      entry.objects.emplace(rule, find_area(o.zones, rule.zone), find_area(o.lines, rule.line),
                            *std::move(wanted), o.labels, is_raised);
    }
    rules.entries_.push_back(std::move(entry));
  }
  return rules;
}

bool CameraRules::is_on_duty(const Entry& entry, WallTime at) const {
  return entry.schedule.is_always() || entry.schedule.is_active(options_.minute_of_week(at));
}

std::vector<RuleChange> CameraRules::take(const Answer& answer, TimePoint captured) {
  std::vector<RuleChange> changes;
  if (answer.stamp.seq <= last_seq_) return changes;
  last_seq_ = answer.stamp.seq;
  if (answer.origin == Origin::kNone) return changes;
  if (last_captured_ && captured > *last_captured_) {
    const Duration pause_max =
        std::max(kPauseMax, from_seconds(kPausePeriods / std::max(options_.rate_hz, 1e-3)));
    watched_ += std::min(captured - *last_captured_, pause_max);
  }
  if (!last_captured_ || captured > *last_captured_) last_captured_ = captured;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (!entry.objects) continue;
    RuleVerdict verdict;
    if (is_on_duty(entry, answer.stamp.captured_at))
      verdict = entry.objects->look(answer, watched_);
    else
      entry.objects->rest();
    entry.figure.value = verdict.value;
    entry.figure.events += verdict.events;
    const AlarmGate::Change change = entry.gate.update(watched_, verdict.does_hold);
    if (change == AlarmGate::Change::kNone) continue;
    changes.push_back({.rule = i,
                       .is_raised = change == AlarmGate::Change::kRaise,
                       .message = std::move(verdict.message),
                       .at = answer.stamp.captured_at,
                       .seq = answer.stamp.seq});
  }
  return changes;
}

std::optional<bool> CameraRules::judge(std::size_t i, const CameraCondition& condition,
                                       std::string& message) {
  const RuleSettings& rule = options_.rules[i];
  Entry& entry = entries_[i];
  std::optional<double> value;
  switch (*rule.kind) {
    case RuleKind::kCameraDown:
      message = "no frames are coming";
      return condition.is_down;
    case RuleKind::kCameraFrozen:
      message = "the picture does not change";
      return condition.is_frozen;
    case RuleKind::kFidelity:
      value = condition.fidelity;
      break;
    case RuleKind::kDeviceBusy:
      value = condition.device_busy;
      break;
    default:
      return std::nullopt;
  }
  if (!value) return std::nullopt;
  entry.figure.value = *value;
  const Threshold threshold = threshold_of(rule);
  const double limit = entry.is_beyond ? threshold.clear_limit : threshold.limit;
  entry.is_beyond = threshold.is_over ? *value > limit : *value < limit;
  message = *rule.kind == RuleKind::kFidelity
                ? fmt::format("fidelity {:.3f}, below {:g}", *value, threshold.limit)
                : fmt::format("a device is {:.0f} % in use, more than {:g} %", *value * 100,
                              threshold.limit * 100);
  return entry.is_beyond;
}

std::vector<RuleChange> CameraRules::note(const CameraCondition& condition, TimePoint now,
                                          WallTime wall_now) {
  std::vector<RuleChange> changes;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.objects) continue;
    std::string message;
    const std::optional<bool> does_hold =
        is_on_duty(entry, wall_now) ? judge(i, condition, message) : false;
    if (!does_hold) continue;
    const AlarmGate::Change change = entry.gate.update(now.time_since_epoch(), *does_hold);
    if (change == AlarmGate::Change::kNone) continue;
    const bool is_raised = change == AlarmGate::Change::kRaise;
    changes.push_back({.rule = i,
                       .is_raised = is_raised,
                       .message = is_raised ? message : std::string(),
                       .at = wall_now,
                       .seq = {}});
  }
  return changes;
}

RuleFigure CameraRules::figure(std::size_t rule) const {
  RuleFigure figure = entries_[rule].figure;
  figure.is_raised = entries_[rule].gate.is_raised();
  return figure;
}

bool CameraRules::wants_fidelity() const {
  return std::ranges::any_of(
      options_.rules, [](const RuleSettings& rule) { return *rule.kind == RuleKind::kFidelity; });
}

}  // namespace framemill
