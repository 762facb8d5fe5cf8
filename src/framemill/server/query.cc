#include "framemill/server/query.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include <fmt/format.h>

#include "framemill/config/setting_value.h"

namespace framemill {
namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || rest != end) return std::nullopt;
  return value;
}

/// Takes `digits` digits and `after` (0: nothing) from the front of `text`; -1 where they are not
/// there.
int take_number(std::string_view& text, std::size_t digits, char after) {
  if (text.size() < digits + (after != 0 ? 1 : 0)) return -1;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!std::ranges::all_of(text.substr(0, digits), is_digit)) return -1;
  if (after != 0 && text[digits] != after) return -1;
  const auto value = static_cast<int>(*whole_number(text.substr(0, digits)));
  text.remove_prefix(digits + (after != 0 ? 1 : 0));
  return value;
}

int days_of(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && is_leap ? 29 : kDays[month - 1];
}

}  // namespace

void Query::refuse(std::string_view name, std::string_view why) {
  if (error_) return;
  error_ = Error(ErrorCode::kInvalidArgument, fmt::format("{}: {}", name, why));
}

std::optional<std::string> Query::text(std::string_view name, std::size_t bytes_max) {
  const std::string* found = nullptr;
  for (const auto& [key, value] : request_.query) {
    if (key != name) continue;
    if (found != nullptr) refuse(name, "stands twice; keep one");
    found = &value;
  }
  if (found == nullptr) return std::nullopt;
  if (found->size() > bytes_max) {
    refuse(name, fmt::format("is longer than {} bytes; write less", bytes_max));
    return std::nullopt;
  }
  return *found;
}

std::int64_t Query::number(std::string_view name, std::int64_t min, std::int64_t max,
                           std::int64_t otherwise) {
  const std::optional<std::string> value = text(name, 20);
  if (!value) return otherwise;
  const std::optional<std::int64_t> number = whole_number(*value);
  if (number && *number >= min && *number <= max) return *number;
  refuse(name,
         fmt::format("{} is no whole number from {} to {}; write one", quote(*value), min, max));
  return otherwise;
}

bool Query::flag(std::string_view name) {
  const std::optional<std::string> value = choice(name, "true|false");
  return value && *value == "true";
}

std::optional<std::string> Query::choice(std::string_view name, std::string_view choices) {
  std::optional<std::string> value = text(name, 64);
  if (!value) return value;
  const std::vector<std::string_view> known = split_choices(choices);
  if (std::ranges::find(known, *value) != known.end()) return value;
  refuse(name,
         fmt::format("{} is unknown; write one of {}", quote(*value), fmt::join(known, ", ")));
  return std::nullopt;
}

std::optional<std::string> Query::id(std::string_view name) {
  std::optional<std::string> value = text(name, 64);
  if (!value || is_valid_name(*value)) return value;
  refuse(name, fmt::format("{} is no id; write letters, digits, dots, underscores or hyphens",
                           quote(*value)));
  return std::nullopt;
}

std::optional<WallTime> Query::time(std::string_view name) {
  const std::optional<std::string> value = text(name, 64);
  if (!value) return std::nullopt;
  const std::optional<WallTime> time = parse_wall_time(*value);
  if (!time)
    refuse(name, fmt::format("{} is no time; write one like 2026-01-01T08:00:04Z", quote(*value)));
  return time;
}

std::optional<std::int64_t> Query::cursor() {
  const std::optional<std::string> value = text("cursor", 128);
  if (!value) return std::nullopt;
  if (const std::optional<std::int64_t> number = parse_cursor(*value)) return number;
  refuse("cursor", "is none that this server gave; begin without one");
  return std::nullopt;
}

std::optional<std::int64_t> parse_cursor(std::string_view text) {
  const std::optional<std::int64_t> number = whole_number(text);
  return number && *number >= 0 ? number : std::nullopt;
}

std::optional<WallTime> parse_wall_time(std::string_view text) {
  std::tm parts{};
  const int year = take_number(text, 4, '-');
  const int month = take_number(text, 2, '-');
  const int day = take_number(text, 2, 0);
  if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 ||
      day > days_of(year, month))
    return std::nullopt;
  if (text.empty() || (text.front() != 'T' && text.front() != 't')) return std::nullopt;
  text.remove_prefix(1);
  const int hour = take_number(text, 2, ':');
  const int minute = take_number(text, 2, ':');
  const int second = take_number(text, 2, 0);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return std::nullopt;
  std::int64_t nanoseconds = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    std::int64_t unit = 100'000'000;
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
      nanoseconds += unit * (text[digits] - '0');
      unit /= 10;
      ++digits;
    }
    if (digits == 0 || digits > 9) return std::nullopt;
    text.remove_prefix(digits);
  }
  std::int64_t offset_minutes = 0;
  if (text == "Z" || text == "z") {
    text = {};
  } else if (text.starts_with('+') || text.starts_with('-') || text.starts_with(' ')) {
    // A '+' that was not encoded in a query has become a space.
    const int sign = text.front() == '-' ? -1 : 1;
    text.remove_prefix(1);
    const int hours = take_number(text, 2, ':');
    const int minutes = take_number(text, 2, 0);
    if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59) return std::nullopt;
    offset_minutes = sign * (hours * 60 + minutes);
  } else {
    return std::nullopt;
  }
  if (!text.empty()) return std::nullopt;
  parts.tm_year = year - 1900;
  parts.tm_mon = month - 1;
  parts.tm_mday = day;
  parts.tm_hour = hour;
  parts.tm_min = minute;
  parts.tm_sec = second;
  const std::int64_t seconds = timegm(&parts) - offset_minutes * 60;
  return WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds)));
}

}  // namespace framemill
