// Changing a YAML file without losing what people wrote in it. A YAML library would read the file
// and write it anew: comments, blank lines and ${NAME} would be gone. So this works on lines: the
// tree says where each camera and each of its keys begins, everything up to the next one belongs to
// it, and only lines of what changed are touched. YAML has more ways to write a thing than this
// knows; the caller therefore reads the result again and compares before it replaces a file.

#include "framemill/config/edit_cameras.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/base/text_case.h"
#include "framemill/base/url.h"
#include "framemill/config/setting_json.h"
#include "framemill/config/setting_value.h"
#include "framemill/config/yaml_tree.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;
using Kind = YamlNode::Kind;

/// What has to be done to one camera: keys that get a value, in the table's order, and keys that
/// go.
struct CameraEdit {
  std::vector<std::pair<std::string, std::string>> set;
  std::vector<std::string> removed;
  [[nodiscard]] bool is_empty() const { return set.empty() && removed.empty(); }
};

// ---- Values as text -------------------------------------------------------------------------

bool is_plain_text(std::string_view text) {
  static constexpr std::string_view kWords[] = {"true", "false", "null", "yes", "no",
                                                "on",   "off",   "y",    "n"};
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/';
  };
  if (text.empty() || text.front() == '-' || text.front() == '.') return false;
  if (!std::ranges::all_of(text, is_word) || parse_number(text)) return false;
  return std::ranges::find(kWords, to_lower(text)) == std::end(kWords);
}

std::string in_quotes(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// `value` in YAML's flow style; a dollar of a text is doubled, since reading expands variables.
std::string flow_text(const Json& value) {
  const auto join = [](const Json& items, const auto& show) {
    std::string text;
    for (const auto& [key, item] : items.items()) {
      if (!text.empty()) text += ", ";
      text += show(key, item);
    }
    return text;
  };
  if (value.is_object()) {
    return "{" +
           join(value,
                [](const std::string& key, const Json& item) {
                  return (is_plain_text(key) ? key : in_quotes(key)) + ": " + flow_text(item);
                }) +
           "}";
  }
  if (value.is_array())
    return "[" + join(value, [](const auto&, const Json& item) { return flow_text(item); }) + "]";
  if (value.is_string()) {
    std::string text = value.get<std::string>();
    for (std::size_t at = 0; (at = text.find('$', at)) != std::string::npos; at += 2)
      text.insert(at, 1, '$');
    return is_plain_text(text) ? text : in_quotes(text);
  }
  std::string number = value.dump();
  if (number.ends_with(".0")) number.resize(number.size() - 2);
  return number;
}

/// A node as it was read, variables unexpanded, in flow style.
std::string flow_text(const YamlNode& node) {
  std::string text;
  switch (node.kind) {
    case Kind::kNull:
      return "null";
    case Kind::kText:
      if (node.is_quoted) return in_quotes(node.text);
      return is_plain_text(node.text) || parse_number(node.text) || node.text == "true" ||
                     node.text == "false"
                 ? node.text
                 : in_quotes(node.text);
    case Kind::kList:
      for (const YamlNode& item : node.items) text += (text.empty() ? "" : ", ") + flow_text(item);
      return "[" + text + "]";
    case Kind::kMap:
      for (const YamlEntry& entry : node.entries)
        text += fmt::format("{}{}: {}", text.empty() ? "" : ", ",
                            is_plain_text(entry.key) ? entry.key : in_quotes(entry.key),
                            flow_text(entry.value));
      return "{" + text + "}";
  }
  return text;
}

// ---- What differs ---------------------------------------------------------------------------

/// A camera's settings by key; null: not to be written. Rules that come from `defaults` are not
/// its own.
std::map<std::string_view, Json> values_of(const CameraSettings& camera,
                                           const CameraSettings* defaults) {
  std::map<std::string_view, Json> values;
  CameraSettings own = camera;
  if (defaults != nullptr) {
    std::erase_if(own.rules, [&](const RuleSettings& rule) {
      return std::ranges::find(defaults->rules, rule) != defaults->rules.end();
    });
  }
  for (const Setting<CameraSettings>& row : kCameraSettings) {
    const bool is_other_sampling =
        (row.key == "rate" && camera.every > 0) || (row.key == "every" && camera.every == 0);
    values[row.key] = is_other_sampling ? Json(nullptr) : setting_json(row, own, Secrets::kShown);
  }
  return values;
}

/// From `before` to `after`; a camera that is new has only defaults before.
CameraEdit edit_between(const CameraSettings* before, const CameraSettings& after,
                        const CameraSettings& defaults) {
  CameraEdit edit;
  auto fallback = values_of(defaults, nullptr);
  fallback["rules"] = nullptr;  // its own only
  const auto old = before != nullptr ? values_of(*before, &defaults) : fallback;
  for (const auto& [key, value] : values_of(after, &defaults)) {
    if (value == old.at(key)) continue;
    if (value.is_null() || value == fallback.at(key)) {
      edit.removed.emplace_back(key);
    } else {
      edit.set.emplace_back(key, flow_text(value));
    }
  }
  const auto place = [](const auto& entry) {
    return std::ranges::find(kCameraSettings, entry.first, &Setting<CameraSettings>::key);
  };
  std::ranges::sort(edit.set, {}, place);
  return edit;
}

const CameraSettings* find_camera(const std::vector<CameraSettings>& cameras, const CameraId& id) {
  const auto found = std::ranges::find(cameras, id, &CameraSettings::id);
  return found == cameras.end() ? nullptr : &*found;
}

// ---- Lines ----------------------------------------------------------------------------------

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    lines.emplace_back(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::size_t indent_of(std::string_view line) { return line.find_first_not_of(' '); }

/// Blank, or a comment alone.
bool is_empty_line(std::string_view line) {
  const std::size_t first = line.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos || line[first] == '#';
}

/// Where the value that begins at `at` ends within `text`: before a comment or the text's end,
/// without blanks. Knows quotes, so that a # in them is none.
std::size_t end_of_value(std::string_view text, std::size_t at) {
  char quote = 0;
  char before = ' ';  // the last one that is no blank
  std::size_t end = at;
  for (std::size_t i = at; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      const bool is_doubled = c == '\'' && i + 1 < text.size() && text[i + 1] == '\'';
      if ((c == '\\' && quote == '"') || (is_doubled && quote == '\'')) {
        ++i;  // what follows does not end it
      } else if (c == quote) {
        quote = 0;
      }
      end = std::min(i + 1, text.size());
      before = c;
      continue;
    }
    const bool is_blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    const bool may_begin = i == at || std::string_view("{[,:").find(before) != std::string::npos;
    if ((c == '"' || c == '\'') && may_begin) quote = c;
    if (c == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t' || text[i - 1] == '\n')) {
      const std::size_t line_end = text.find('\n', i);
      if (line_end == std::string_view::npos) break;
      i = line_end;  // the value may go on in the next line
      continue;
    }
    if (!is_blank) end = i + 1, before = c;
  }
  return end;
}

/// The file as lines; edits are gathered by line and done from the end, so that places stay right.
class LineEditor {
 public:
  explicit LineEditor(std::string_view text)
      : lines_(split_lines(text)),
        line_end_(text.find("\r\n") != std::string_view::npos ? "\r\n" : "\n") {
    if (!lines_.empty() && !lines_.back().ends_with('\n')) lines_.back() += line_end_;
  }

  [[nodiscard]] std::size_t size() const { return lines_.size(); }
  [[nodiscard]] const std::string& line(std::size_t i) const { return lines_[i]; }
  [[nodiscard]] const std::string& line_end() const { return line_end_; }
  /// The lines from `first` to before `end` become `text`, whole lines or nothing.
  void replace(std::size_t first, std::size_t end, std::string text) {
    edits_.push_back({first, end, std::move(text)});
  }
  [[nodiscard]] std::string joined(std::size_t first, std::size_t end) const {
    std::string text;
    for (std::size_t i = first; i < end; ++i) text += lines_[i];
    return text;
  }
  [[nodiscard]] std::string result() {
    std::ranges::stable_sort(edits_, {}, &Edit::first);
    std::string text;
    std::size_t at = 0;
    for (const Edit& edit : edits_) {
      text += joined(at, std::max(at, edit.first)) + edit.text;
      at = std::max(at, edit.end);
    }
    return text + joined(at, lines_.size());
  }
  /// The end of what begins in line `first` and may reach to before `end`: without comments and
  /// blank lines behind it.
  [[nodiscard]] std::size_t trimmed(std::size_t first, std::size_t end) const {
    while (end > first + 1 && is_empty_line(lines_[end - 1])) --end;
    return end;
  }

 private:
  struct Edit {
    std::size_t first, end;
    std::string text;
  };
  std::vector<std::string> lines_;
  const std::string line_end_;
  std::vector<Edit> edits_;
};

// ---- Cameras --------------------------------------------------------------------------------

/// Lines of one camera in a block list, from 0.
struct ItemLines {
  std::size_t first = 0;
  std::size_t end = 0;  ///< without what belongs to nothing
};

std::string new_item(const CameraEdit& edit) {
  std::string text;
  for (const auto& [key, value] : edit.set)
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", key, value);
  return "{" + text + "}";
}

/// The camera as it stands in the tree, with `edit` done, in flow style.
std::string rewritten_item(const YamlNode& node, const CameraEdit& edit) {
  CameraEdit whole;
  for (const YamlEntry& entry : node.entries) {
    if (std::ranges::find(edit.removed, entry.key) != edit.removed.end()) continue;
    const auto set =
        std::ranges::find(edit.set, entry.key, &std::pair<std::string, std::string>::first);
    whole.set.emplace_back(entry.key, set != edit.set.end() ? set->second : flow_text(entry.value));
  }
  for (const auto& one : edit.set) {
    if (std::ranges::find(node.entries, one.first, &YamlEntry::key) == node.entries.end())
      whole.set.push_back(one);
  }
  return new_item(whole);
}

class CameraListEditor {
 public:
  CameraListEditor(std::string_view text, const YamlNode& root) : lines_(text), root_(root) {}

  Result<std::string> edit(const std::vector<CameraSettings>& before,
                           const std::vector<CameraSettings>& after,
                           const CameraSettings& defaults) {
    const auto section = std::ranges::find(root_.entries, std::string("cameras"), &YamlEntry::key);
    const bool has_list = section != root_.entries.end() && section->value.kind == Kind::kList;
    const std::size_t count = has_list ? section->value.items.size() : 0;
    if (count != before.size())
      return fail(ErrorCode::kInvalidArgument, "the text has other cameras than were read");
    std::vector<std::string> added;
    for (const CameraSettings& camera : after)
      if (find_camera(before, camera.id) == nullptr)
        added.push_back(new_item(edit_between(nullptr, camera, defaults)));
    if (count == 0) {
      add_section(section, added);
      return lines_.result();
    }
    const YamlNode& list = section->value;
    const std::optional<std::vector<ItemLines>> places = find_items(*section);
    std::vector<std::string> rewritten;  // of all, where there are no places
    for (std::size_t i = 0; i < count; ++i) {
      const CameraSettings* const wanted = find_camera(after, before[i].id);
      const YamlNode& item = list.items[i];
      const CameraEdit change =
          wanted != nullptr ? edit_between(&before[i], *wanted, defaults) : CameraEdit{};
      if (!places) {
        if (wanted != nullptr) rewritten.push_back(rewritten_item(item, change));
      } else if (wanted == nullptr) {
        lines_.replace((*places)[i].first, (*places)[i].end, "");
      } else if (!change.is_empty()) {
        change_item(item, (*places)[i], change);
      }
    }
    if (!places) {
      rewritten.insert(rewritten.end(), added.begin(), added.end());
      replace_section(*section, rewritten);
    } else if (after.empty()) {
      replace_section(*section, {});
    } else {
      const ItemLines& last = places->back();
      const std::size_t indent = indent_of(lines_.line(last.first));
      lines_.replace(last.end, last.end, items_text(added, indent));
    }
    return lines_.result();
  }

 private:
  using Entries = std::vector<YamlEntry>;

  [[nodiscard]] std::string items_text(const std::vector<std::string>& items,
                                       std::size_t indent) const {
    std::string text;
    for (const std::string& item : items)
      text += std::string(indent, ' ') + "- " + item + lines_.line_end();
    return text;
  }

  /// The line where the root's key after `section` begins, or the end.
  [[nodiscard]] std::size_t end_of_section(const YamlEntry& section) const {
    std::size_t end = lines_.size();
    for (const YamlEntry& entry : root_.entries)
      if (entry.line > section.line) end = std::min(end, static_cast<std::size_t>(entry.line - 1));
    // "..." and comments at the margin belong to no section.
    const auto first = static_cast<std::size_t>(section.line - 1);
    while (end > first + 1 &&
           (is_empty_line(lines_.line(end - 1)) || lines_.line(end - 1).starts_with("..."))) {
      --end;
    }
    return end;
  }

  void add_section(Entries::const_iterator section, const std::vector<std::string>& items) {
    if (items.empty()) return;
    if (section != root_.entries.end()) {
      replace_section(*section, items);
      return;
    }
    std::size_t end = lines_.size();
    while (end > 0 && lines_.line(end - 1).starts_with("...")) --end;
    lines_.replace(end, end, "cameras:" + lines_.line_end() + items_text(items, 2));
  }

  /// The whole section anew.
  void replace_section(const YamlEntry& section, const std::vector<std::string>& items) {
    const auto first = static_cast<std::size_t>(section.line - 1);
    const std::string head =
        std::string(static_cast<std::size_t>(section.column), ' ') + "cameras:";
    lines_.replace(first, end_of_section(section),
                   head + (items.empty() ? " []" : "") + lines_.line_end() +
                       items_text(items, static_cast<std::size_t>(section.column) + 2));
  }

  /// Where each camera lies; empty where they are not a list of lines that begin with "- ".
  [[nodiscard]] std::optional<std::vector<ItemLines>> find_items(const YamlEntry& section) const {
    const YamlNode& list = section.value;
    const auto column = static_cast<std::size_t>(list.column);
    const std::size_t begin = static_cast<std::size_t>(list.line - 1);
    const std::size_t end = end_of_section(section);
    std::vector<ItemLines> items;
    for (std::size_t i = begin; i < end; ++i) {
      const std::string& line = lines_.line(i);
      const bool is_dash = indent_of(line) == column && line[column] == '-' &&
                           std::string_view(" \t\r\n").find(line[column + 1]) != std::string::npos;
      if (!is_dash) continue;
      if (!items.empty()) items.back().end = i;
      items.push_back({i, end});
    }
    if (items.size() != list.items.size()) return std::nullopt;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto line = static_cast<std::size_t>(list.items[i].line - 1);
      if (line < items[i].first || line >= items[i].end) return std::nullopt;
      items[i].end = lines_.trimmed(items[i].first, items[i].end);
    }
    return items;
  }

  void change_item(const YamlNode& item, const ItemLines& place, const CameraEdit& edit) {
    const auto line = static_cast<std::size_t>(item.line - 1);
    const auto column = static_cast<std::size_t>(item.column);
    const char first = lines_.line(line)[column];
    // A block map begins with its first key; anything else is written anew.
    const bool is_block = !item.entries.empty() && item.entries.front().line == item.line &&
                          item.entries.front().column == item.column && first != '{';
    const bool loses_first =
        is_block && std::ranges::find(edit.removed, item.entries.front().key) != edit.removed.end();
    if (!is_block || loses_first) {
      rewrite(item, place, edit);
      return;
    }
    for (std::size_t i = 0; i < item.entries.size(); ++i) {
      const YamlEntry& entry = item.entries[i];
      const auto from = static_cast<std::size_t>(entry.line - 1);
      const std::size_t to = lines_.trimmed(
          from, i + 1 < item.entries.size() ? static_cast<std::size_t>(item.entries[i + 1].line - 1)
                                            : place.end);
      if (std::ranges::find(edit.removed, entry.key) != edit.removed.end()) {
        lines_.replace(from, to, "");
        continue;
      }
      const auto set =
          std::ranges::find(edit.set, entry.key, &std::pair<std::string, std::string>::first);
      if (set != edit.set.end()) replace_value(entry, from, to, set->second);
    }
    std::string added;
    for (const auto& [key, value] : edit.set) {
      if (std::ranges::find(item.entries, key, &YamlEntry::key) != item.entries.end()) continue;
      added += fmt::format("{}{}: {}{}", std::string(column, ' '), key, value, lines_.line_end());
    }
    lines_.replace(place.end, place.end, std::move(added));
  }

  /// `key: value` in the lines from `from` to before `to`; a comment behind a value of one line
  /// stays.
  void replace_value(const YamlEntry& entry, std::size_t from, std::size_t to,
                     const std::string& value) {
    const std::string& line = lines_.line(from);
    const std::size_t colon =
        line.find(':', static_cast<std::size_t>(entry.column) + entry.key.size());
    std::string text = line.substr(0, colon + 1) + " " + value;
    if (to == from + 1 && entry.value.line == entry.line) {
      const std::size_t end = end_of_value(line, static_cast<std::size_t>(entry.value.column));
      text += line.substr(std::min(end, line.size()));
    } else {
      text += lines_.line_end();
    }
    lines_.replace(from, to, std::move(text));
  }

  void rewrite(const YamlNode& item, const ItemLines& place, const CameraEdit& edit) {
    const std::string& line = lines_.line(place.first);
    const std::string old = lines_.joined(place.first, place.end);
    const std::size_t dash = indent_of(line);
    const std::string& last = lines_.line(place.end - 1);
    std::string rest = lines_.line_end();
    if (place.end == place.first + 1) {  // a comment behind a camera of one line stays
      const std::size_t end = end_of_value(last, std::min(dash + 2, last.size()));
      rest = last.substr(std::min(end, last.size()));
    }
    lines_.replace(place.first, place.end,
                   line.substr(0, dash) + "- " + rewritten_item(item, edit) + rest);
  }

  LineEditor lines_;
  const YamlNode& root_;
};

}  // namespace

Result<std::string> edit_cameras(std::string_view text, const std::vector<CameraSettings>& before,
                                 const std::vector<CameraSettings>& after,
                                 const CameraSettings& defaults) {
  const Result<YamlNode> root = parse_yaml(text, "the configuration");
  if (!root) return fail(root.error());
  if (root->kind != Kind::kMap)
    return fail(ErrorCode::kInvalidArgument, "the text is no configuration");
  return CameraListEditor(text, *root).edit(before, after, defaults);
}

bool writes_secret(const std::vector<CameraSettings>& before,
                   const std::vector<CameraSettings>& after, const CameraSettings& defaults) {
  return std::ranges::any_of(after, [&](const CameraSettings& camera) {
    const CameraSettings* const old = find_camera(before, camera.id);
    const CameraSettings& base = old != nullptr ? *old : defaults;
    const bool is_new_password = camera.password != base.password && !camera.password.empty() &&
                                 camera.password != defaults.password;
    return is_new_password || (camera.url != base.url && has_credentials(camera.url));
  });
}

}  // namespace framemill
