#include "framemill/config/rule_defaults.h"

#include <algorithm>

namespace framemill {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

}  // namespace

std::string_view to_string(RuleKind kind) {
  std::string_view names = kRuleKindNames;
  for (auto i = static_cast<std::size_t>(kind); i > 0; --i) {
    names.remove_prefix(names.find('|') + 1);
  }
  return names.substr(0, names.find('|'));
}

bool is_object_rule(RuleKind kind) { return kind < RuleKind::kCameraDown; }

Duration hold_for(const RuleSettings& rule) {
  if (rule.hold_for) return *rule.hold_for;
  switch (*rule.kind) {
    case RuleKind::kAbsence:
    case RuleKind::kCameraDown:
      return seconds(10);
    case RuleKind::kDwell:
      return seconds(30);
    case RuleKind::kFidelity:
    case RuleKind::kDeviceBusy:
      return minutes(1);
    default:
      return Duration(0);
  }
}

Duration clear_after(const RuleSettings& rule) {
  if (rule.clear_after) return *rule.clear_after;
  switch (*rule.kind) {
    case RuleKind::kLineCrossing:
    case RuleKind::kDefect:
    case RuleKind::kFidelity:
    case RuleKind::kDeviceBusy:
      return seconds(10);
    case RuleKind::kCameraFrozen:
      return Duration(0);  // the camera's own state is steady enough
    default:
      return seconds(2);
  }
}

Duration rate_window(const RuleSettings& rule) { return rule.window.value_or(minutes(1)); }

Threshold threshold_of(const RuleSettings& rule) {
  double usual = 0;        // limit where none is given
  double usual_slack = 0;  // hysteresis likewise
  if (*rule.kind == RuleKind::kFidelity) usual = .95, usual_slack = .01;
  if (*rule.kind == RuleKind::kDeviceBusy) usual = .9, usual_slack = .05;
  if (*rule.kind == RuleKind::kRate)
    usual_slack = .1 * std::max(rule.over.value_or(0), rule.under.value_or(0));
  Threshold threshold;
  threshold.is_over = rule.over || (!rule.under && *rule.kind != RuleKind::kFidelity);
  threshold.limit = threshold.is_over ? rule.over.value_or(usual) : rule.under.value_or(usual);
  const double slack = rule.hysteresis.value_or(usual_slack);
  threshold.clear_limit = threshold.limit + (threshold.is_over ? -slack : slack);
  return threshold;
}

std::string_view keys_of(RuleKind kind) {
  switch (kind) {
    case RuleKind::kPresence:
    case RuleKind::kAbsence:
    case RuleKind::kDwell:
      return "zone|classes|score|anchor";
    case RuleKind::kCount:
      return "zone|classes|score|anchor|over|under|hysteresis";
    case RuleKind::kLineCrossing:
      return "line|direction|classes|score|anchor";
    case RuleKind::kDefect:
      return "zone|classes|score|anchor|frames|of";
    case RuleKind::kRate:
      return "zone|line|direction|classes|score|anchor|over|under|hysteresis|window";
    case RuleKind::kCameraDown:
    case RuleKind::kCameraFrozen:
      return "";
    case RuleKind::kFidelity:
      return "under|hysteresis";
    case RuleKind::kDeviceBusy:
      return "over|hysteresis";
  }
  return "";
}

}  // namespace framemill
