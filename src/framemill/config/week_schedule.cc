#include "framemill/config/week_schedule.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace framemill {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::optional<int> parse_day(std::string_view text) {
  const auto found = std::ranges::find(kDays, text);
  if (found == kDays.end()) return std::nullopt;
  return static_cast<int>(found - kDays.begin());
}

/// "HH:MM" up to 24:00.
std::optional<int> parse_clock(std::string_view text) {
  const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  if (text.size() != 5 || text[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4)) {
    return std::nullopt;
  }
  const int hour = (text[0] - '0') * 10 + text[1] - '0';
  const int minute = (text[3] - '0') * 10 + text[4] - '0';
  if (minute > 59 || hour * 60 + minute > WeekSchedule::kDayMinutes) return std::nullopt;
  return hour * 60 + minute;
}

/// "mon-fri", "sat,sun", "daily" as days from 0; empty where it is none of them.
std::vector<int> parse_days(std::string_view text) {
  if (text == "daily") return {0, 1, 2, 3, 4, 5, 6};
  std::vector<int> days;
  while (true) {
    const std::string_view part = text.substr(0, text.find(','));
    const std::size_t dash = part.find('-');
    const std::optional<int> first = parse_day(part.substr(0, dash));
    const std::optional<int> last =
        dash == std::string_view::npos ? first : parse_day(part.substr(dash + 1));
    if (!first || !last) return {};
    for (int day = *first;; day = (day + 1) % 7) {
      days.push_back(day);
      if (day == *last) break;
    }
    if (part.size() == text.size()) return days;
    text.remove_prefix(part.size() + 1);
  }
}

}  // namespace

Result<WeekSchedule> WeekSchedule::parse(std::span<const std::string> texts) {
  WeekSchedule schedule;
  for (const std::string& whole : texts) {
    const std::string_view text(whole);
    const std::size_t space = text.find(' ');
    const std::vector<int> days = parse_days(text.substr(0, space));
    std::optional<int> from = 0;
    std::optional<int> to = kDayMinutes;
    if (space != std::string_view::npos) {
      const std::string_view hours = text.substr(space + 1);
      const std::size_t dash = hours.find('-');
      from = parse_clock(hours.substr(0, dash));
      to = dash == std::string_view::npos ? std::nullopt : parse_clock(hours.substr(dash + 1));
    }
    if (days.empty() || !from || !to || *from == *to) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("\"{}\" is not days and hours; write one like \"mon-fri "
                              "06:00-22:00\", \"sat,sun\" or \"daily 22:00-06:00\"",
                              whole.substr(0, 60)));
    }
    const int length = *to > *from ? *to - *from : *to + kDayMinutes - *from;
    for (const int day : days) {
      const int begin = day * kDayMinutes + *from;
      schedule.spans_.push_back({begin, begin + length});
    }
  }
  return schedule;
}

bool WeekSchedule::is_active(int minute_of_week) const {
  if (spans_.empty()) return true;
  return std::ranges::any_of(spans_, [&](const Span& span) {
    return (minute_of_week >= span.begin && minute_of_week < span.end) ||
           minute_of_week + kWeekMinutes < span.end;  // past Sunday's midnight
  });
}

int local_minute_of_week(WallTime time) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm local{};
  localtime_r(&seconds, &local);
  return (local.tm_wday + 6) % 7 * WeekSchedule::kDayMinutes + local.tm_hour * 60 + local.tm_min;
}

}  // namespace framemill
