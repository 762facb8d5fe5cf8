#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// One setting as a person reads about it.
struct SettingInfo {
  std::string section;
  std::string key;
  std::string type;   ///< "duration", or the words it may be
  std::string range;  ///< "1ms to 60s"; empty: none
  std::string unit;   ///< "1/s", "frames"; empty: none, or part of the value
  std::string default_value;
  std::string help;
  bool is_reserved = false;  ///< known to the format, refused by this version
};

/// All settings in the order of the sections; `section` empty: all. Reserved ones follow the others
/// of their section. "defaults" gives those of cameras that may stand there.
[[nodiscard]] std::vector<SettingInfo> list_settings(std::string_view section = {});

/// Those whose key or whose place, as "cameras.slo", contains `word`; in the same order.
[[nodiscard]] std::vector<SettingInfo> find_settings(std::string_view word);

/// ` did you mean "slo"?` of all sections and keys, with a space in front, or empty.
[[nodiscard]] std::string nearest_setting(std::string_view word);

/// The sections of a configuration, in their order.
[[nodiscard]] std::vector<std::string_view> list_sections();

/// The text of docs/reference/settings.md.
[[nodiscard]] std::string settings_markdown();

}  // namespace framemill
