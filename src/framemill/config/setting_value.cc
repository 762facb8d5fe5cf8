#include "framemill/config/setting_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <type_traits>

#include <fmt/format.h>

#include "framemill/base/url.h"
#include "framemill/config/duration.h"
#include "framemill/config/nearest_word.h"
#include "framemill/config/workload_tables.h"

namespace framemill {
namespace {

constexpr std::size_t kQuotedMax = 120;
constexpr std::size_t kTextMax = 4096;

Failure wrong(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

template <typename T>
struct ValueOf {
  using type = T;
};
template <typename T>
struct ValueOf<std::optional<T>> {
  using type = T;
};

/// Lists of structs, which only a file can give; read in load_settings.cc.
template <typename T>
inline constexpr bool kIsStructured =
    std::is_same_v<T, std::vector<ZoneSettings>> || std::is_same_v<T, std::vector<LineSettings>> ||
    std::is_same_v<T, std::vector<RuleSettings>>;

std::string quote_choices(std::string_view choices) {
  return fmt::format("{}", fmt::join(split_choices(choices), ", "));
}

std::string format_number(double number) { return fmt::format("{:.15g}", number); }

Duration unit_duration(std::string_view unit, double count) {
  return from_seconds(unit == "ms" ? count / 1e3 : count);
}

/// Numbers and durations: the allowed range as a person reads it.
template <typename Settings>
std::string range_text(const Setting<Settings>& row) {
  if (is_duration(row))
    return fmt::format("{} to {}", format_duration(unit_duration(row.unit, row.min)),
                       format_duration(unit_duration(row.unit, row.max)));
  return fmt::format("{} to {}", format_number(row.min), format_number(row.max));
}

/// Whether `value` of a number or duration lies in the row's range. An integer that stands for
/// "unset" by being 0 is no value at all.
template <typename Settings, typename T>
bool is_in_range(const Setting<Settings>& row, const T& value) {
  if constexpr (std::is_same_v<T, Duration>)
    return value >= unit_duration(row.unit, row.min) && value <= unit_duration(row.unit, row.max);
  else
    return static_cast<double>(value) >= row.min && static_cast<double>(value) <= row.max;
}

template <typename Settings>
Failure out_of_range(const Setting<Settings>& row, std::string_view shown) {
  const bool has_unit = is_duration(row);
  return wrong(fmt::format("{} is out of range; write {} from {}{}", quote(shown),
                           has_unit ? "a duration" : "a number", range_text(row),
                           has_unit || row.unit.empty() ? "" : fmt::format(" ({})", row.unit)));
}

Result<void> check_text(std::string_view text, std::string_view choices, TextKind kind,
                        std::string_view shown) {
  const std::string quoted = kind == TextKind::kSecret ? "the value" : quote(shown);
  if (text.empty())
    return wrong(shown.empty() ? "is empty; write a value, or leave the key out"
                               : quoted +
                                     " expands to nothing; set the variable to a value, or "
                                     "leave the key out");
  if (text.size() > kTextMax)
    return wrong(fmt::format("{} is longer than {} characters", quoted, kTextMax));
  // Log lines, HTTP headers and RTSP requests are made of these texts.
  if (std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7F; }))
    return wrong(quoted + " holds a control character, such as a line break; remove it");
  if (!choices.empty()) {
    const std::vector<std::string_view> words = split_choices(choices);
    if (std::ranges::find(words, text) == words.end()) {
      const std::string meant = did_you_mean(shown, words);
      return wrong(fmt::format("{} is not one of {};{}", quoted, quote_choices(choices),
                               meant.empty() ? " write one of them" : meant));
    }
  }
  if (kind == TextKind::kName && !is_valid_name(text))
    return wrong(quoted +
                 " is not a name; write 1 to 64 letters, digits, dots, underscores or hyphens");
  if (kind == TextKind::kListen && !is_valid_listen(text))
    return wrong(quoted + " is not HOST:PORT; write one like 127.0.0.1:8460, or off");
  return {};
}

/// The value that `text` stands for, by the type of the field.
template <typename T, typename Settings>
Result<T> parse_value(const Setting<Settings>& row, std::string_view text, std::string_view shown) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (Result<void> checked = check_text(text, row.choices, row.text, shown); !checked)
      return fail(checked.error());
    return std::string(text);
  } else if constexpr (std::is_same_v<T, Duration>) {
    const Result<Duration> duration = parse_duration(text);
    if (!duration)
      return wrong(
          fmt::format(R"({} is not a duration; write one like "200ms" or "2s")", quote(shown)));
    if (!is_in_range(row, *duration)) return out_of_range(row, shown);
    return *duration;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (text == "true") return true;
    if (text == "false") return false;
    return wrong(quote(shown) + " is neither true nor false; write one of them");
  } else if constexpr (std::is_enum_v<T>) {
    if (Result<void> checked = check_text(text, row.choices, TextKind::kPlain, shown); !checked)
      return fail(checked.error());
    const std::vector<std::string_view> words = split_choices(row.choices);
    return static_cast<T>(std::ranges::find(words, text) - words.begin());
  } else if constexpr (std::is_same_v<T, InferenceBudget>) {
    const Result<InferenceBudget> budget = parse_budget(text);
    if (!budget)
      return wrong(
          quote(shown) +
          " is not a budget; write a share of the frames above 0 and up to 1, like 0.2, or "
          "inferences a second, like 30/s");
    return *budget;
  } else if constexpr (std::is_same_v<T, Size>) {
    const std::size_t cross = std::min(text.find('x'), text.size());
    const std::optional<double> width = parse_number(text.substr(0, cross));
    const std::optional<double> height =
        parse_number(text.substr(std::min(cross + 1, text.size())));
    const auto is_side = [&](const std::optional<double>& side) {
      return side && *side >= row.min && *side <= row.max && std::floor(*side) == *side;
    };
    if (!is_side(width) || !is_side(height))
      return wrong(
          fmt::format("{} is not a size; write width x height in pixels, like 1920x1080, "
                      "each side {}",
                      quote(shown), range_text(row)));
    return Size{static_cast<int>(*width), static_cast<int>(*height)};
  } else if constexpr (std::is_same_v<T, double>) {
    const std::optional<double> number = parse_number(text);
    if (!number)
      return wrong(
          fmt::format("{} is not a number; write one from {}", quote(shown), range_text(row)));
    if (!is_in_range(row, *number)) return out_of_range(row, shown);
    return *number;
  } else if constexpr (std::is_integral_v<T>) {
    const std::optional<double> number = parse_number(text);
    if (!number || std::floor(*number) != *number)
      return wrong(fmt::format("{} is not a whole number; write one from {}", quote(shown),
                               range_text(row)));
    if (!is_in_range(row, *number)) return out_of_range(row, shown);
    return static_cast<T>(*number);
  } else {
    static_assert(!sizeof(T), "a type of field without a parser");
  }
}

/// Reserved keys and values are refused before anything else is said about them.
template <typename Settings>
Result<void> check_reserved(const Setting<Settings>& row, std::string_view text) {
  if (find_reserved(SettingsTable<Settings>::kSection, row.key, text) == nullptr || text.empty())
    return {};
  return fail(ErrorCode::kUnsupported,
              fmt::format("{} {} is not supported by this version; use {}", row.key, quote(text),
                          quote_choices(row.choices)));
}

}  // namespace

std::vector<std::string_view> split_choices(std::string_view choices) {
  std::vector<std::string_view> words;
  while (!choices.empty()) {
    const std::size_t end = std::min(choices.find('|'), choices.size());
    words.push_back(choices.substr(0, end));
    choices.remove_prefix(std::min(end + 1, choices.size()));
  }
  return words;
}

std::string quote(std::string_view text) {
  std::string result = "\"";
  const std::string safe = redact(text);
  std::string_view visible(safe);
  const bool is_long = visible.size() > kQuotedMax;
  if (is_long) {
    std::size_t end = kQuotedMax;  // not inside a UTF-8 sequence
    while (end > 0 && (static_cast<unsigned char>(visible[end]) & 0xC0U) == 0x80U) --end;
    visible = visible.substr(0, end);
  }
  for (const char c : visible) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F)
      result += fmt::format("\\x{:02x}", byte);
    else
      result += c;
  }
  return result + (is_long ? "...\"" : "\"");
}

bool is_valid_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool is_valid_listen(std::string_view listen) {
  if (listen == "off") return true;
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = listen.substr(0, colon);
  const std::string_view port = listen.substr(colon + 1);
  const bool is_number = !port.empty() && port.size() <= 5 &&
                         std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
  const bool is_ipv6 = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return is_number && *parse_number(port) <= 65'535 &&
         (is_ipv6 || host.find_first_of(":/ []@") == std::string_view::npos);
}

bool is_loopback_listen(std::string_view listen) {
  const std::string_view host = listen.substr(0, listen.rfind(':'));
  if (host == "localhost" || host == "[::1]") return true;
  // 127.x.y.z, and no name that only looks like it.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, status] = std::from_chars(text.data(), end, number);
  if (text.empty() || status != std::errc{} || rest != end || !std::isfinite(number))
    return std::nullopt;
  return number;
}

Result<InferenceBudget> parse_budget(std::string_view text) {
  const bool is_per_second = text.ends_with("/s");
  const std::optional<double> number =
      parse_number(is_per_second ? text.substr(0, text.size() - 2) : text);
  const double most = is_per_second ? 1e9 : 1;
  if (!number || *number <= 0 || *number > most)
    return wrong(quote(text) + " is not a budget; write one like 0.2 or 30/s");
  InferenceBudget budget;
  (is_per_second ? budget.per_second : budget.share) = *number;
  return budget;
}

template <typename Settings>
Result<void> set_from_text(const Setting<Settings>& row, Settings& settings, std::string_view text,
                           std::string_view shown) {
  if (Result<void> allowed = check_reserved(row, text); !allowed) return allowed;
  return std::visit(
      [&](const auto& field) -> Result<void> {
        using Field = std::decay_t<decltype(field)>;
        if constexpr (std::is_same_v<Field, TextOrList<Settings>>) {
          if (Result<void> checked = check_text(text, row.choices, row.text, shown); !checked)
            return checked;
          settings.*field.text = text;
          (settings.*field.list).clear();
          return {};
        } else {
          using Value = typename ValueOf<std::decay_t<decltype(settings.*field)>>::type;
          if constexpr (std::is_same_v<Value, std::vector<std::string>>) {
            return wrong("is a list; write one like [a, b]");
          } else if constexpr (std::is_same_v<Value, std::vector<std::vector<RelativePoint>>>) {
            return wrong("is a list of polygons; write one like [[[0,0], [1,0], [1,0.2]]]");
          } else if constexpr (kIsStructured<Value>) {
            return wrong("is a map or a list; write it in the configuration file");
          } else {
            Result<Value> value = parse_value<Value>(row, text, shown);
            if (!value) return fail(value.error());
            settings.*field = *std::move(value);
            return {};
          }
        }
      },
      row.field);
}

template <typename Settings>
bool takes_list(const Setting<Settings>& row) {
  return std::holds_alternative<std::vector<std::string> Settings::*>(row.field) ||
         std::holds_alternative<TextOrList<Settings>>(row.field);
}

template <typename Settings>
Result<void> set_from_list(const Setting<Settings>& row, Settings& settings,
                           std::vector<std::string> texts, const std::vector<std::string>& shown) {
  if (texts.empty()) return wrong("is an empty list; write at least one, or leave the key out");
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (Result<void> checked = check_text(texts[i], {}, TextKind::kPlain, shown[i]); !checked)
      return checked;
    if (!seen.insert(texts[i]).second && !row.may_repeat)
      return wrong(quote(shown[i]) + " stands in the list twice; remove one");
  }
  if (const auto* list = std::get_if<std::vector<std::string> Settings::*>(&row.field)) {
    settings.** list = std::move(texts);
  } else if (const auto* either = std::get_if<TextOrList<Settings>>(&row.field)) {
    settings.*either->list = std::move(texts);
    (settings.*either->text).clear();
  } else {
    return wrong("is a list; write a single value");
  }
  return {};
}

template <typename Settings>
Result<void> check_value(const Setting<Settings>& row, const Settings& settings) {
  return std::visit(
      [&](const auto& field) -> Result<void> {
        using Field = std::decay_t<decltype(field)>;
        if constexpr (!std::is_same_v<Field, TextOrList<Settings>>) {
          const auto& value = settings.*field;
          using Value = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<Value, std::string>) {
            if (!value.empty()) return check_text(value, row.choices, row.text, value);
          } else if constexpr (std::is_same_v<Value, std::optional<Duration>>) {
            if (value && !is_in_range(row, *value))
              return out_of_range(row, format_duration(*value));
          } else if constexpr (std::is_same_v<Value, Duration>) {
            const bool is_unset = value == Duration(0) && !row.default_text.empty();
            if (!is_unset && !is_in_range(row, value))
              return out_of_range(row, format_duration(value));
          } else if constexpr (std::is_same_v<Value, double>) {
            if (!is_in_range(row, value)) return out_of_range(row, format_number(value));
          } else if constexpr (std::is_same_v<Value, std::optional<double>> ||
                               std::is_same_v<Value, std::optional<std::int64_t>>) {
            if (value && !is_in_range(row, *value))
              return out_of_range(row, format_number(static_cast<double>(*value)));
          } else if constexpr (std::is_integral_v<Value> && !std::is_same_v<Value, bool>) {
            const bool is_unset = value == 0 && !row.default_text.empty();
            if (!is_unset && !is_in_range(row, value))
              return out_of_range(row, std::to_string(value));
          }
        }
        return {};
      },
      row.field);
}

template <typename Settings>
std::string describe_type(const Setting<Settings>& row) {
  if (!row.choices.empty()) return quote_choices(row.choices);
  return std::visit(
      [&](const auto& field) -> std::string {
        using Field = std::decay_t<decltype(field)>;
        if constexpr (std::is_same_v<Field, TextOrList<Settings>>) {
          return "text or list";
        } else {
          using Value =
              typename ValueOf<std::decay_t<decltype(std::declval<Settings&>().*field)>>::type;
          if constexpr (std::is_same_v<Value, std::string>) {
            switch (row.text) {
              case TextKind::kName:
                return "name";
              case TextKind::kPath:
                return "path";
              case TextKind::kUrl:
                return "URL or path";
              case TextKind::kSecret:
                return "secret";
              case TextKind::kListen:
                return "HOST:PORT, or off";
              case TextKind::kPlain:
                break;
            }
            return "text";
          }
          if constexpr (std::is_same_v<Value, Duration>) return "duration";
          if constexpr (std::is_same_v<Value, double>) return "number";
          if constexpr (std::is_same_v<Value, bool>) return "true, false";
          if constexpr (std::is_same_v<Value, Size>) return "width x height";
          if constexpr (std::is_same_v<Value, InferenceBudget>) return "share, or number/s";
          if constexpr (std::is_same_v<Value, std::vector<std::string>>) return "list";
          if constexpr (std::is_same_v<Value, std::vector<std::vector<RelativePoint>>>)
            return "polygons";
          if constexpr (std::is_same_v<Value, std::vector<ZoneSettings>>) return "map of polygons";
          if constexpr (std::is_same_v<Value, std::vector<LineSettings>>) return "map of lines";
          if constexpr (std::is_same_v<Value, std::vector<RuleSettings>>) return "list of rules";
          return "whole number";
        }
      },
      row.field);
}

template <typename Settings>
std::string describe_range(const Setting<Settings>& row) {
  return row.min == 0 && row.max == 0 ? std::string() : range_text(row);
}

template <typename Settings>
std::string describe_default(const Setting<Settings>& row) {
  if (!row.default_text.empty()) return std::string(row.default_text);
  const Settings settings;
  return std::visit(
      [&](const auto& field) -> std::string {
        using Field = std::decay_t<decltype(field)>;
        if constexpr (!std::is_same_v<Field, TextOrList<Settings>>) {
          const auto& value = settings.*field;
          using Value = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<Value, std::string>) return value;
          if constexpr (std::is_same_v<Value, Duration>) return format_duration(value);
          if constexpr (std::is_same_v<Value, bool>) return value ? "true" : "false";
          if constexpr (std::is_same_v<Value, Size>)
            return fmt::format("{}x{}", value.width, value.height);
          if constexpr (std::is_enum_v<Value>)
            return std::string(split_choices(row.choices)[static_cast<std::size_t>(value)]);
          if constexpr (std::is_arithmetic_v<Value>)
            return format_number(static_cast<double>(value));
        }
        return {};
      },
      row.field);
}

template <typename Settings>
bool is_changed(const Setting<Settings>& row, const Settings& settings) {
  const Settings usual;
  return std::visit(
      [&](const auto& field) {
        using Field = std::decay_t<decltype(field)>;
        if constexpr (std::is_same_v<Field, TextOrList<Settings>>) {
          return !(settings.*field.text).empty() || !(settings.*field.list).empty();
        } else if constexpr (kIsStructured<std::decay_t<decltype(settings.*field)>>) {
          return !(settings.*field).empty();
        } else {
          return !(settings.*field == usual.*field);
        }
      },
      row.field);
}

#define INSTANTIATE(S)                                                                            \
  template Result<void> set_from_text(const Setting<S>&, S&, std::string_view, std::string_view); \
  template bool takes_list(const Setting<S>&);                                                    \
  template Result<void> set_from_list(const Setting<S>&, S&, std::vector<std::string>,            \
                                      const std::vector<std::string>&);                           \
  template Result<void> check_value(const Setting<S>&, const S&);                                 \
  template std::string describe_type(const Setting<S>&);                                          \
  template std::string describe_range(const Setting<S>&);                                         \
  template std::string describe_default(const Setting<S>&);                                       \
  template bool is_changed(const Setting<S>&, const S&);

INSTANTIATE(ModelSettings)
INSTANTIATE(CameraSettings)
INSTANTIATE(EngineSettings)
INSTANTIATE(RuleSettings)
INSTANTIATE(AlarmSettings)
INSTANTIATE(SinkSettings)
INSTANTIATE(ServerSettings)
INSTANTIATE(Workload)
INSTANTIATE(CameraGroup)
INSTANTIATE(DeviceCandidate)
INSTANTIATE(WorkloadLinks)
#undef INSTANTIATE

}  // namespace framemill
