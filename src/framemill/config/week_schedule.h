#pragma once

#include <span>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"

namespace framemill {

/// Times of the week, in minutes from Monday 00:00 local time.
class WeekSchedule {
 public:
  static constexpr int kDayMinutes = 24 * 60;
  static constexpr int kWeekMinutes = 7 * kDayMinutes;

  /// Each text names days and hours: "mon-fri 06:00-22:00", "sat,sun", "daily 22:00-06:00" (into
  /// the next morning), "fri-mon 00:00-24:00". No text: always. Errors: kInvalidArgument.
  [[nodiscard]] static Result<WeekSchedule> parse(std::span<const std::string> texts);

  /// 0 <= `minute_of_week` < kWeekMinutes.
  [[nodiscard]] bool is_active(int minute_of_week) const;
  [[nodiscard]] bool is_always() const { return spans_.empty(); }

 private:
  struct Span {
    int begin = 0, end = 0;  ///< half open; `end` may lie past the week's
  };
  std::vector<Span> spans_;
};

/// Where `time` lies in the week of the machine's time zone (variable TZ, else /etc/localtime).
[[nodiscard]] int local_minute_of_week(WallTime time);

}  // namespace framemill
