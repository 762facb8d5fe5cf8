#include "framemill/cli/misplaced_keys.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/url.h"
#include "framemill/base/word_list.h"
#include "framemill/config/camera_ids.h"
#include "framemill/config/setting_value.h"

namespace framemill {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

/// `text` taken apart at each comma that a key of a camera follows.
struct Parts {
  std::string_view source;
  std::vector<Pair> values;
};
Parts take_apart(std::string_view text) {
  const bool is_url = !url_scheme(text).empty();
  Parts parts{.source = text};
  std::size_t value_at = 0;  // of the last key
  for (std::size_t comma = text.find(','); comma != std::string_view::npos;
       comma = text.find(',', comma + 1)) {
    if (is_url && text.substr(0, comma).find('?') != std::string_view::npos) break;
    const std::size_t equals = text.find_first_of(",=", comma + 1);
    if (equals == std::string_view::npos || text[equals] == ',') continue;
    const std::string_view key = text.substr(comma + 1, equals - comma - 1);
    if (key == "url" || find_setting<CameraSettings>(key) == nullptr) continue;
    if (parts.values.empty())
      parts.source = text.substr(0, comma);
    else
      parts.values.back().second = text.substr(value_at, comma - value_at);
    value_at = equals + 1;
    parts.values.emplace_back(key, text.substr(value_at));
  }
  return parts;
}

/// `text` as YAML takes it within {}.
std::string to_yaml(std::string_view text) {
  const bool is_plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '/';
  });
  if (is_plain) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

std::string value_to_yaml(std::string_view key, std::string_view value) {
  const Setting<CameraSettings>& row = *find_setting<CameraSettings>(key);
  if (row.text == TextKind::kSecret) return "'${PASSWORD}'";
  // Nested ones are as hard to write behind a comma as they are to read there.
  if (key == "mask" || key == "zones" || key == "lines" || key == "rules") return "...";
  if (!takes_list(row)) return to_yaml(value);
  std::vector<std::string> words;
  for (const std::string& word : split_words(value)) words.push_back(to_yaml(word));
  return fmt::format("[{}]", fmt::join(words, ", "));
}

std::string join_with_and(std::span<const std::string> words) {
  if (words.size() == 1) return words[0];
  return fmt::format("{} and {}", fmt::join(words.first(words.size() - 1), ", "), words.back());
}

}  // namespace

std::optional<MisplacedKeys> find_misplaced_keys(std::string_view text,
                                                 std::span<const std::string_view> allowed) {
  const Parts parts = take_apart(text);
  const auto is_allowed = [allowed](std::string_view key) {
    return std::ranges::find(allowed, key) != allowed.end();
  };
  MisplacedKeys misplaced{.source = redact(parts.source)};
  for (const auto& [key, value] : parts.values)
    if (!is_allowed(key)) misplaced.keys.emplace_back(key);
  if (misplaced.keys.empty()) return std::nullopt;
  std::error_code ignored;
  if (url_scheme(text).empty() && std::filesystem::exists(text, ignored)) return std::nullopt;

  const auto id = std::ranges::find(parts.values, "id", &Pair::first);
  misplaced.camera =
      fmt::format("{{id: {}, url: {}",
                  to_yaml(id == parts.values.end() ? suggest_camera_id(misplaced.source)
                                                   : std::string(id->second)),
                  to_yaml(misplaced.source));
  for (const auto& [key, value] : parts.values)
    if (key != "id") misplaced.camera += fmt::format(", {}: {}", key, value_to_yaml(key, value));
  misplaced.camera += '}';
  return misplaced;
}

std::string explain(const MisplacedKeys& misplaced, std::span<const std::string_view> allowed,
                    std::span<const std::string_view> options) {
  const bool is_one = misplaced.keys.size() == 1;
  const std::vector<std::string> taken(allowed.begin(), allowed.end());
  std::string text = fmt::format(
      "{} {} of --source, which takes {}; write the camera into a configuration, cameras: [{}]",
      join_with_and(misplaced.keys), is_one ? "is no option" : "are no options",
      join_with_and(taken), misplaced.camera);
  const std::string option = "--" + misplaced.keys.front();
  if (is_one && std::ranges::find(options, option) != options.end())
    text += fmt::format(", or give {} for all sources", option);
  return text;
}

}  // namespace framemill
