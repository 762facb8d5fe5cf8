#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/settings_tables.h"

/// Reads, checks and shows one setting by its row. Instantiated for every struct with a table.

namespace framemill {

/// Sets the field of `row` from a text, as it stands in a file or on the command line.
/// `shown`: what messages may quote in its place (the text before variables were expanded).
/// Errors: kInvalidArgument (not such a value, out of range), kUnsupported (reserved).
template <typename Settings>
[[nodiscard]] Result<void> set_from_text(const Setting<Settings>& row, Settings& settings,
                                         std::string_view text, std::string_view shown);

/// As set_from_text(), for the row named `key`, which exists; for the command line.
template <typename Settings>
[[nodiscard]] Result<void> set_by_key(std::string_view key, Settings& settings,
                                      std::string_view text) {
  const Setting<Settings>* const row = find_setting<Settings>(key);
  CHECK(row != nullptr);
  return set_from_text(*row, settings, text, text);
}

/// True where the field may be given as a list of texts.
template <typename Settings>
[[nodiscard]] bool takes_list(const Setting<Settings>& row);

/// Sets a field that holds a list of texts; `shown` as above, one for each. Errors:
/// kInvalidArgument (empty or repeated entries).
template <typename Settings>
[[nodiscard]] Result<void> set_from_list(const Setting<Settings>& row, Settings& settings,
                                         std::vector<std::string> texts,
                                         const std::vector<std::string>& shown);

/// Checks the field's range or choice, for settings that did not come from a text.
/// Errors: kInvalidArgument.
template <typename Settings>
[[nodiscard]] Result<void> check_value(const Setting<Settings>& row, const Settings& settings);

/// What the field may hold, for people: "duration", "number", "full, hold", ...
template <typename Settings>
[[nodiscard]] std::string describe_type(const Setting<Settings>& row);

/// "1ms to 60s", "0 to 1"; empty where there is no range.
template <typename Settings>
[[nodiscard]] std::string describe_range(const Setting<Settings>& row);

/// The default, from a struct as constructed or the row's own words.
template <typename Settings>
[[nodiscard]] std::string describe_default(const Setting<Settings>& row);

/// Whether `listen` is "off" or HOST:PORT (port 0 to 65535, an IPv6 address in brackets).
[[nodiscard]] bool is_valid_listen(std::string_view listen);

/// Whether only programs of this machine reach `listen` (HOST:PORT); false where that is not sure.
[[nodiscard]] bool is_loopback_listen(std::string_view listen);

/// A budget from "0.2" or "30/s". Errors: kInvalidArgument.
[[nodiscard]] Result<InferenceBudget> parse_budget(std::string_view text);

/// True for 1 to 64 letters, digits, '.', '_' and '-'.
[[nodiscard]] bool is_valid_name(std::string_view name);

/// The whole text as a finite number. Empty where it is none.
[[nodiscard]] std::optional<double> parse_number(std::string_view text);

/// The words of "a|b|c".
[[nodiscard]] std::vector<std::string_view> split_choices(std::string_view choices);

/// `text` quoted for a message: control characters escaped, long ones shortened, URLs redacted.
[[nodiscard]] std::string quote(std::string_view text);

}  // namespace framemill
