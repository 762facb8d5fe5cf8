#pragma once

#include "framemill/config/rule_settings.h"

/// What a rule does where its settings leave it open. All: pure; `rule.kind` is set.

namespace framemill {

/// "line_crossing".
[[nodiscard]] std::string_view to_string(RuleKind kind);

/// True for rules that look at objects: fed by answers. The others are fed by the camera's state,
/// the audits, or the device.
[[nodiscard]] bool is_object_rule(RuleKind kind);

/// How long the condition has to hold before the alarm is raised (dwell: how long one object may
/// stay).
[[nodiscard]] Duration hold_for(const RuleSettings& rule);
/// How long it has to be gone before the alarm is cleared.
[[nodiscard]] Duration clear_after(const RuleSettings& rule);
/// Over which a rate is counted.
[[nodiscard]] Duration rate_window(const RuleSettings& rule);

/// A value that has to be above or below a threshold, and where it is clear again. With `is_over`:
/// holds at value > limit, is gone at value <= clear_limit; else holds at value < limit, is gone at
/// value >= clear_limit.
struct Threshold {
  bool is_over = true;
  double limit = 0;
  double clear_limit = 0;
};
/// Of count, rate, fidelity and device_busy.
[[nodiscard]] Threshold threshold_of(const RuleSettings& rule);

/// The keys that rules of `kind` read beside those that all read ("zone|classes|...").
[[nodiscard]] std::string_view keys_of(RuleKind kind);

}  // namespace framemill
