#include "framemill/config/week_schedule.h"

#include <cstdlib>
#include <tuple>

#include <gtest/gtest.h>

namespace framemill {
namespace {

constexpr int at(int day, int hour, int minute = 0) {
  return day * WeekSchedule::kDayMinutes + hour * 60 + minute;
}

WeekSchedule parse(const std::vector<std::string>& texts) {
  Result<WeekSchedule> schedule = WeekSchedule::parse(texts);
  EXPECT_TRUE(schedule) << texts.front();
  return *schedule;
}

TEST(WeekSchedule, FollowsTheTable) {
  const std::tuple<std::vector<std::string>, int, bool> cases[] = {
      {{}, at(3, 3), true},
      {{"mon-fri 06:00-22:00"}, at(0, 5, 59), false},
      {{"mon-fri 06:00-22:00"}, at(0, 6), true},
      {{"mon-fri 06:00-22:00"}, at(4, 21, 59), true},
      {{"mon-fri 06:00-22:00"}, at(4, 22), false},
      {{"mon-fri 06:00-22:00"}, at(5, 12), false},
      {{"sat,sun"}, at(5, 0), true},
      {{"sat,sun"}, at(6, 23, 59), true},
      {{"sat,sun"}, at(0, 0), false},
      {{"daily 22:00-06:00"}, at(2, 3), true},
      {{"daily 22:00-06:00"}, at(2, 6), false},
      {{"daily 22:00-06:00"}, at(0, 2), true},  // Sunday night reaches into Monday
      {{"sun 22:00-06:00"}, at(0, 2), true},
      {{"sun 22:00-06:00"}, at(6, 2), false},
      {{"fri-mon 00:00-24:00"}, at(0, 12), true},  // the range runs over the end of the week
      {{"fri-mon 00:00-24:00"}, at(1, 0), false},
      {{"mon 08:00-09:00", "tue 10:00-11:00"}, at(1, 10, 30), true},
  };
  for (const auto& [texts, minute, want] : cases) {
    EXPECT_EQ(parse(texts).is_active(minute), want)
        << (texts.empty() ? "always" : texts.front()) << " at " << minute;
  }
}

TEST(WeekSchedule, RefusesWhatIsNone) {
  for (const std::string text :
       {"", "monday", "mon 6-22", "mon 06:00", "mon 06:00-25:00", "mon 06:60-07:00", "mon,", "mon-",
        "mon 06:00-06:00", "mon  06:00-07:00", "mon 06:00-07:00 "}) {
    const std::vector<std::string> texts{text};
    const Result<WeekSchedule> schedule = WeekSchedule::parse(texts);
    ASSERT_FALSE(schedule) << text;
    EXPECT_NE(schedule.error().message().find("mon-fri 06:00-22:00"), std::string::npos);
  }
}

TEST(LocalMinuteOfWeek, IsLocalTime) {
  ::setenv("TZ", "XYZ-2", 1);  // two hours east of UTC
  ::tzset();
  // 2026-01-04 was a Sunday: 23:30 UTC is Monday 01:30 there.
  EXPECT_EQ(local_minute_of_week(WallTime(std::chrono::seconds(1'767'569'400))), at(0, 1, 30));
  ::unsetenv("TZ");
  ::tzset();
}

}  // namespace
}  // namespace framemill
