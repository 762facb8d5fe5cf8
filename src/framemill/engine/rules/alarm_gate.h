#pragma once

#include <optional>

#include "framemill/base/clock.h"

namespace framemill {

/// From "the condition holds" to "the alarm is on": debounce at both ends. Time is whatever the
/// caller counts (for objects: the time during which the camera was watched), and never goes back.
/// Pure, a value.
class AlarmGate {
 public:
  enum class Change { kNone, kRaise, kClear };

  /// `hold_for`: the condition has to hold so long, without a gap, before the alarm is raised;
  /// `clear_after`: it has to be gone so long, without a return, before it is cleared; both >= 0.
  /// `is_raised`: as a run before left it.
  AlarmGate(Duration hold_for, Duration clear_after, bool is_raised)
      : hold_for_(hold_for), clear_after_(clear_after), is_raised_(is_raised) {}

  Change update(Duration now, bool does_hold) {
    if (does_hold == is_raised_) {
      since_.reset();
      return Change::kNone;
    }
    if (!since_) since_ = now;
    if (now - *since_ < (is_raised_ ? clear_after_ : hold_for_)) return Change::kNone;
    since_.reset();
    is_raised_ = does_hold;
    return does_hold ? Change::kRaise : Change::kClear;
  }

  [[nodiscard]] bool is_raised() const { return is_raised_; }

 private:
  Duration hold_for_;
  Duration clear_after_;
  bool is_raised_;
  std::optional<Duration> since_;  ///< when the condition last became other than the alarm
};

}  // namespace framemill
