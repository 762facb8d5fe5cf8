#include "framemill/config/load_settings.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/url.h"
#include "framemill/config/camera_ids.h"
#include "framemill/config/file_kind.h"
#include "framemill/config/nearest_word.h"
#include "framemill/config/setting_value.h"
#include "framemill/config/validate.h"
#include "framemill/config/yaml_tree.h"

namespace framemill {
namespace {

constexpr std::array<std::string_view, 7> kSections = {"models", "defaults", "cameras", "engine",
                                                       "alarms", "sinks",    "server"};
constexpr std::size_t kEntriesMax = 10'000;
constexpr std::size_t kPointsMax = 256;
constexpr std::size_t kAreasMax = 64;  ///< zones, and lines, of one camera

using Kind = YamlNode::Kind;

/// Has every text of the tree mean itself once variables are expanded.
void double_dollars(YamlNode& node) {
  for (std::size_t at = 0; (at = node.text.find('$', at)) != std::string::npos; at += 2)
    node.text.insert(at, 1, '$');
  for (YamlNode& item : node.items) double_dollars(item);
  for (YamlEntry& entry : node.entries) double_dollars(entry.value);
}

/// One pass over the tree; problems gather while the good parts are taken over.
class SettingsReader {
 public:
  SettingsReader(const std::string& name, const EnvironmentLookup& environment)
      : name_(name),
        folder_(std::filesystem::path(name).parent_path()),
        environment_(environment) {}

  /// One entry of `cameras:` on top of `base`.
  Result<CameraSettings> read_camera(const YamlNode& root, const CameraSettings& base) {
    has_lines_ = false;
    CameraSettings camera = base;
    if (root.kind != Kind::kMap) {
      add_problem(
          root.line, "",
          fmt::format("is {}; write a map, such as {{\"slo\": \"200ms\"}}", describe(root.kind)));
    } else {
      const std::set<std::string_view> keys = read_entry(root, camera, "", "cameras", 0);
      check_sampling(root, keys, "rate");
      if (!keys.contains("every") && keys.contains("rate")) camera.every = 0;
    }
    if (problems_.empty()) return camera;
    return fail(gather_problems());
  }

  Result<RunSettings> read(const YamlNode& root, const SettingsOverride& override_settings) {
    if (std::string other = wrong_file_kind(root, FileKind::kConfiguration); !other.empty()) {
      add_problem(root.line, "", other);  // alone: no key of it is what it seems
      return fail(gather_problems());
    }
    if (root.kind == Kind::kNull) {
      add_problem(std::max(root.line, 1), "",
                  "the file is empty; a configuration has models and cameras");
    } else if (root.kind != Kind::kMap) {
      add_problem(
          root.line, "",
          fmt::format("the file is {}; write a map with models and cameras", describe(root.kind)));
    } else {
      read_root(root);
    }
    if (!lines_.contains({"engine", SettingPlace::kNoIndex, "data"}))
      resolve_path(settings_.engine.data);
    assign_ids_to_files();
    if (override_settings) {
      if (Result<void> done = override_settings(settings_); !done) return fail(done.error());
    }
    if (root.kind == Kind::kMap) check_as_a_whole();
    if (problems_.empty()) return std::move(settings_);
    return fail(gather_problems());
  }

 private:
  struct Problem {
    int line;
    std::string text;
    bool is_unsupported;
  };

  void add_problem(int line, std::string_view path, std::string_view message,
                   ErrorCode code = ErrorCode::kInvalidArgument) {
    std::string text = has_lines_ ? fmt::format("{}:{}: ", name_, line) : std::string();
    text += fmt::format("{}{}{}", path, path.empty() ? "" : ": ", message);
    problems_.push_back({line, std::move(text), code == ErrorCode::kUnsupported});
  }
  /// A problem of one setting; what the check of the whole would say about it again is then left
  /// out.
  void add_problem(int line, const SettingPlace& place, std::string_view path, const Error& error) {
    bad_places_.insert(place);
    add_problem(line, path, error.message(), error.code());
  }

  Error gather_problems() {
    std::ranges::stable_sort(problems_, {}, &Problem::line);
    std::vector<std::string> lines;
    for (const Problem& problem : problems_) lines.push_back(problem.text);
    const bool is_unsupported = std::ranges::all_of(problems_, &Problem::is_unsupported);
    return list_problems(lines,
                         is_unsupported ? ErrorCode::kUnsupported : ErrorCode::kInvalidArgument);
  }

  /// The entries of a map without those whose key stands twice, which are reported.
  std::vector<const YamlEntry*> unique_entries(const YamlNode& map, std::string_view path) {
    std::map<std::string_view, int> lines;
    std::vector<const YamlEntry*> entries;
    for (const YamlEntry& entry : map.entries) {
      const auto [first, is_new] = lines.emplace(entry.key, entry.line);
      if (is_new)
        entries.push_back(&entry);
      else
        add_problem(entry.line, join(path, entry.key),
                    fmt::format("stands twice, first in line {}; remove one", first->second));
    }
    return entries;
  }

  static std::string join(std::string_view path, std::string_view key) {
    // A key may be any text; only what could be a key is shown as it is.
    const std::string shown = is_valid_name(key) ? std::string(key) : quote(key);
    return path.empty() ? shown : fmt::format("{}.{}", path, shown);
  }

  void read_root(const YamlNode& root) {
    std::map<std::string_view, const YamlNode*> sections;
    std::set<std::string_view> meant;  ///< that what nobody knows was probably to be
    for (const YamlEntry* entry : unique_entries(root, "")) {
      if (std::ranges::find(kSections, entry->key) == kSections.end()) {
        meant.insert(add_unknown(*entry, "", kSections,
                                 fmt::format("the sections are {}", fmt::join(kSections, ", "))));
        continue;
      }
      lines_[{entry->key, SettingPlace::kNoIndex, ""}] = entry->line;
      sections[entry->key] = &entry->value;
    }
    for (const std::string_view name : meant)
      if (!name.empty() && !sections.contains(name))
        bad_places_.insert({std::string(name), SettingPlace::kNoIndex, ""});
    const auto section = [&](std::string_view name, Kind kind) -> const YamlNode* {
      const auto found = sections.find(name);
      if (found == sections.end() || found->second->kind == Kind::kNull) return nullptr;
      if (found->second->kind == kind) return found->second;
      bad_places_.insert({std::string(name), SettingPlace::kNoIndex, ""});
      add_problem(
          found->second->line, name,
          fmt::format("is {}; write {}", describe(found->second->kind),
                      kind == Kind::kMap ? "a map, `key: value`" : "a list, `- key: value`"));
      return nullptr;
    };
    if (const YamlNode* const node = section("models", Kind::kMap)) read_models(*node);
    if (const YamlNode* const node = section("defaults", Kind::kMap)) {
      const std::set<std::string_view> keys =
          read_entry(*node, defaults_, "defaults", "defaults", SettingPlace::kNoIndex);
      check_sampling(*node, keys, "defaults");
      settings_.defaults = defaults_;
    }
    if (const YamlNode* const node = section("cameras", Kind::kList)) read_cameras(*node);
    if (const YamlNode* const node = section("engine", Kind::kMap))
      read_entry(*node, settings_.engine, "engine", "engine", SettingPlace::kNoIndex);
    if (const YamlNode* const node = section("alarms", Kind::kMap))
      read_entry(*node, settings_.alarms, "alarms", "alarms", SettingPlace::kNoIndex);
    if (const YamlNode* const node = section("sinks", Kind::kList)) read_sinks(*node);
    if (const YamlNode* const node = section("server", Kind::kMap))
      settings_.server.is_listen_given =
          read_entry(*node, settings_.server, "server", "server", SettingPlace::kNoIndex)
              .contains("listen");
  }

  void read_models(const YamlNode& node) {
    for (const YamlEntry* entry : unique_entries(node, "models")) {
      const std::size_t index = settings_.models.size();
      const std::string path = join("models", entry->key);
      lines_[{"models", index, ""}] = entry->line;
      ModelSettings& model = settings_.models.emplace_back();
      model.name = entry->key;
      if (entry->value.kind == Kind::kMap) {
        read_entry(entry->value, model, path, "models", index);
      } else {
        bad_places_.insert({"models", index, "path"});
        add_problem(entry->line, path,
                    fmt::format("is {}; write a map, such as {{path: model.onnx}}",
                                describe(entry->value.kind)));
      }
    }
  }

  void read_cameras(const YamlNode& node) {
    if (node.items.size() > kEntriesMax) {
      add_problem(node.line, "cameras",
                  fmt::format("has more than {} entries; split them", kEntriesMax));
      return;
    }
    for (const YamlNode& item : node.items) {
      const std::size_t index = settings_.cameras.size();
      lines_[{"cameras", index, ""}] = item.line;
      CameraSettings& camera = settings_.cameras.emplace_back(defaults_);
      if (item.kind != Kind::kMap) {
        bad_places_.insert({{"cameras", index, "id"}, {"cameras", index, "url"}});
        add_problem(item.line, fmt::format("cameras[{}]", index),
                    fmt::format("is {}; write a map, such as {{id: gate-1, url: \"rtsp://...\"}}",
                                describe(item.kind)));
        continue;
      }
      const std::string path = name_camera(item, index);
      const std::set<std::string_view> keys = read_entry(item, camera, path, "cameras", index);
      check_sampling(item, keys, path);
      if (!keys.contains("every") && keys.contains("rate")) camera.every = 0;
    }
  }

  /// "cameras[gate-1]", or by number where the id does not help.
  static std::string name_camera(const YamlNode& camera, std::size_t index) {
    for (const YamlEntry& entry : camera.entries)
      if (entry.key == "id" && entry.value.kind == Kind::kText && is_valid_name(entry.value.text))
        return fmt::format("cameras[{}]", entry.value.text);
    return fmt::format("cameras[{}]", index);
  }

  void check_sampling(const YamlNode& node, const std::set<std::string_view>& keys,
                      const std::string& path) {
    if (keys.contains("rate") && keys.contains("every"))
      add_problem(node.line, path, "rate and every exclude each other; keep one");
  }

  void read_sinks(const YamlNode& node) {
    if (node.items.size() > kEntriesMax) {
      add_problem(node.line, "sinks", fmt::format("has more than {} entries", kEntriesMax));
      return;
    }
    for (const YamlNode& item : node.items) {
      const std::size_t index = settings_.sinks.size();
      const std::string path = fmt::format("sinks[{}]", index);
      lines_[{"sinks", index, ""}] = item.line;
      SinkSettings& sink = settings_.sinks.emplace_back();
      const std::set<SettingPlace> whole = {{"sinks", index, "type"}, {"sinks", index, "path"}};
      if (item.kind != Kind::kMap) {
        bad_places_.insert(whole.begin(), whole.end());
        add_problem(item.line, path,
                    fmt::format("is {}; write a map, such as {{type: jsonl, path: out.jsonl}}",
                                describe(item.kind)));
        continue;
      }
      read_entry(item, sink, path, "sinks", index);
    }
  }

  template <typename Settings>
  std::set<std::string_view> read_entry(const YamlNode& map, Settings& settings,
                                        const std::string& path, const std::string& section,
                                        std::size_t index, const std::string& key_prefix = {}) {
    std::set<std::string_view> keys;
    std::set<std::string_view> meant;  ///< that what nobody knows was probably to be
    for (const YamlEntry* entry : unique_entries(map, path)) {
      const std::string where = join(path, entry->key);
      const SettingPlace place{section, index, key_prefix + entry->key};
      const Setting<Settings>* const row = find_setting<Settings>(entry->key);
      if (row == nullptr) {
        meant.insert(read_without_row<Settings>(
            *entry, path,
            key_prefix.empty() ? section : std::string(SettingsTable<Settings>::kSection)));
        continue;
      }
      if (row->is_own && section == "defaults") {
        add_problem(entry->line, where, "belongs to a camera, not to defaults; move it there");
        continue;
      }
      keys.insert(row->key);
      lines_[place] = entry->line;
      using Rules = std::vector<RuleSettings>;
      if (const auto* const rules = std::get_if<Rules Settings::*>(&row->field)) {
        read_rules(*entry, settings.**rules, where, place);
        continue;
      }
      if (Result<void> done = read_value(*row, settings, entry->value); !done)
        add_problem(entry->line, place, where, done.error());
    }
    for (const std::string_view key : meant)
      if (!key.empty() && !keys.contains(key))
        bad_places_.insert({section, index, key_prefix + std::string(key)});
    return keys;
  }

  /// Adds to `rules`; one of the same id, which came from `defaults:`, is replaced.
  void read_rules(const YamlEntry& entry, std::vector<RuleSettings>& rules, const std::string& path,
                  const SettingPlace& place) {
    if (entry.value.kind != Kind::kList) {
      bad_places_.insert(place);
      add_problem(entry.line, path,
                  fmt::format("is {}; write a list, such as [{{id: intruder, kind: presence}}]",
                              describe(entry.value.kind)));
      return;
    }
    std::set<std::string> ids;
    for (std::size_t i = 0; i < entry.value.items.size(); ++i) {
      const YamlNode& item = entry.value.items[i];
      if (item.kind != Kind::kMap) {
        add_problem(item.line, fmt::format("{}[{}]", path, i),
                    fmt::format("is {}; write a map, such as {{id: intruder, kind: presence}}",
                                describe(item.kind)));
        continue;
      }
      std::string name = std::to_string(i);
      for (const YamlEntry& own : item.entries)
        if (own.key == "id" && own.value.kind == Kind::kText && is_valid_name(own.value.text))
          name = own.value.text;
      const std::string where = fmt::format("{}[{}]", path, name);
      if (!ids.insert(name).second) {
        add_problem(item.line, where, "stands twice; give each rule an id of its own");
        continue;
      }
      RuleSettings rule;
      SettingPlace whole = place;
      whole.key = fmt::format("{}[{}]", place.key, name);
      lines_[whole] = item.line;
      const std::size_t problems_before = problems_.size();
      read_entry(item, rule, where, place.section, place.index, whole.key + ".");
      if (rule.id.empty() && problems_.size() == problems_before) {
        add_problem(item.line, where, "has no id; write `id: intruder`");
        continue;
      }
      if (rule.id.empty() || problems_.size() != problems_before) continue;  // told already
      const auto same = std::ranges::find(rules, rule.id, &RuleSettings::id);
      if (same != rules.end())
        *same = std::move(rule);
      else
        rules.push_back(std::move(rule));
    }
  }

  /// A key of this section that is reserved, or that nobody knows. Returns the one that was
  /// probably meant, or nothing: that it is missing need not be said, too.
  template <typename Settings>
  std::string_view read_without_row(const YamlEntry& entry, const std::string& path,
                                    const std::string& section) {
    if (const ReservedSetting* const reserved = find_reserved(section, entry.key)) {
      if (is_accepted(*reserved, entry.value)) return {};
      add_problem(entry.line, join(path, entry.key),
                  fmt::format("{} is not supported by this version; {}", entry.key,
                              reserved->accepted.empty()
                                  ? "leave it out"
                                  : fmt::format("leave it out, or write {}", reserved->accepted)),
                  ErrorCode::kUnsupported);
      return {};
    }
    std::vector<std::string_view> known;
    for (const Setting<Settings>& row : SettingsTable<Settings>::kRows)
      if (!row.is_own || section != "defaults") known.push_back(row.key);
    return add_unknown(entry, path, known,
                       fmt::format("`framemill config explain {}` lists what there is", section));
  }

  static bool is_accepted(const ReservedSetting& reserved, const YamlNode& value) {
    if (reserved.accepted.empty() || value.kind != Kind::kText) return false;
    if (value.text == reserved.accepted) return true;
    const std::optional<double> number = parse_number(value.text);
    return number && number == parse_number(reserved.accepted);
  }

  std::string_view add_unknown(const YamlEntry& entry, std::string_view path,
                               std::span<const std::string_view> known,
                               std::string_view otherwise) {
    if (entry.key == "<<") {
      add_problem(entry.line, path, "merge keys (<<) are not supported; use `defaults:`");
      return {};
    }
    const std::string meant = did_you_mean(entry.key, known);
    add_problem(entry.line, join(path, entry.key),
                meant.empty() ? fmt::format("unknown key; {}", otherwise)
                              : fmt::format("unknown key;{}", meant));
    return nearest_word(entry.key, known);
  }

  template <typename Settings>
  Result<void> read_value(const Setting<Settings>& row, Settings& settings, const YamlNode& node) {
    using Mask = std::vector<std::vector<RelativePoint>>;
    if (const auto* const mask = std::get_if<Mask Settings::*>(&row.field))
      return read_mask(node, settings.**mask);
    if (const auto* const zones = std::get_if<std::vector<ZoneSettings> Settings::*>(&row.field))
      return read_zones(node, settings.**zones);
    if (const auto* const lines = std::get_if<std::vector<LineSettings> Settings::*>(&row.field))
      return read_lines(node, settings.**lines);
    switch (node.kind) {
      case Kind::kNull:
        return wrong(row.default_text.starts_with("required")
                         ? "has no value; write one"
                         : "has no value; write one, or leave the key out");
      case Kind::kMap:
        return wrong(fmt::format("is a map; write a single value ({})", describe_type(row)));
      case Kind::kList:
        return read_list(row, settings, node);
      case Kind::kText:
        break;
    }
    const bool has_variable = node.text.find('$') != std::string::npos;
    if (node.is_quoted && !has_variable && is_number_or_flag(row))
      return wrong(fmt::format("{} is a text; write it without quotes", quote(node.text)));
    Result<std::string> text = expand_variables(node.text, environment_);
    if (!text) return fail(text.error());
    // Messages show the text as written, so that no variable's value gets into a log.
    if (Result<void> done = set_from_text(row, settings, *text, node.text); !done) return done;
    resolve_path(row, settings);
    return {};
  }

  template <typename Settings>
  static bool is_number_or_flag(const Setting<Settings>& row) {
    return row.max > 0 ? !is_duration(row) : std::holds_alternative<bool Settings::*>(row.field);
  }

  template <typename Settings>
  Result<void> read_list(const Setting<Settings>& row, Settings& settings, const YamlNode& node) {
    if (!takes_list(row))
      return wrong(fmt::format("is a list; write a single value ({})", describe_type(row)));
    std::vector<std::string> texts, shown;
    for (const YamlNode& item : node.items) {
      if (item.kind != Kind::kText)
        return wrong(fmt::format("holds {}; write a list of texts", describe(item.kind)));
      Result<std::string> text = expand_variables(item.text, environment_);
      if (!text) return fail(text.error());
      texts.push_back(*std::move(text));
      shown.push_back(item.text);
    }
    if (Result<void> done = set_from_list(row, settings, std::move(texts), shown); !done)
      return done;
    if (const auto* const list = std::get_if<std::vector<std::string> Settings::*>(&row.field))
      if (row.text == TextKind::kPath)
        for (std::string& path : settings.**list) resolve_path(path);
    return {};
  }

  /// Relative paths count from the file's folder, so that a configuration can be started from
  /// anywhere.
  template <typename Settings>
  void resolve_path(const Setting<Settings>& row, Settings& settings) {
    if (row.text != TextKind::kPath && row.text != TextKind::kUrl) return;
    std::string* path = nullptr;
    if (const auto* const text = std::get_if<std::string Settings::*>(&row.field))
      path = &(settings.**text);
    if (const auto* const either = std::get_if<TextOrList<Settings>>(&row.field)) {
      path = &(settings.*either->text);
      if (*path == "coco") return;
    }
    if (path != nullptr) resolve_path(*path);
  }
  void resolve_path(std::string& path) {
    if (path == "-" || !is_file_path(path) || path.starts_with('/')) return;
    if (!folder_.empty()) path = (folder_ / path).lexically_normal().string();
  }

  static Failure wrong(std::string message) {
    return fail(ErrorCode::kInvalidArgument, std::move(message));
  }

  static Result<std::vector<RelativePoint>> read_points(const YamlNode& node,
                                                        const std::string& name, std::size_t least,
                                                        std::size_t most, const char* example) {
    if (node.kind != Kind::kList || node.items.size() < least)
      return wrong(fmt::format("{} has fewer than {} points; {}", name, least, example));
    if (node.items.size() > most)
      return wrong(fmt::format("{} has more than {} points", name, most));
    std::vector<RelativePoint> points;
    for (const YamlNode& point : node.items) {
      const auto coordinate = [&](std::size_t axis) -> std::optional<double> {
        const YamlNode& value = point.items[axis];
        if (value.kind != Kind::kText || value.is_quoted) return std::nullopt;
        const std::optional<double> number = parse_number(value.text);
        return number && *number >= 0 && *number <= 1 ? number : std::nullopt;
      };
      const bool is_pair = point.kind == Kind::kList && point.items.size() == 2;
      const std::optional<double> x = is_pair ? coordinate(0) : std::nullopt;
      const std::optional<double> y = is_pair ? coordinate(1) : std::nullopt;
      if (!x || !y)
        return wrong(
            fmt::format("point {} of {} is not [x, y] with both from 0 to 1 of width and height; "
                        "{}",
                        points.size() + 1, name, example));
      points.push_back({*x, *y});
    }
    return points;
  }

  /// The names of a map that each stand once and are names. Calls `read` for each.
  template <typename Read>
  static Result<void> read_named(const YamlNode& node, const char* example, const Read& read) {
    if (node.kind != Kind::kMap)
      return wrong(fmt::format("is {}; {}", describe(node.kind), example));
    std::set<std::string_view> names;
    for (const YamlEntry& entry : node.entries) {
      if (!is_valid_name(entry.key))
        return wrong(quote(entry.key) +
                     " is not a name; write 1 to 64 letters, digits, dots, underscores or hyphens");
      if (!names.insert(entry.key).second)
        return wrong(quote(entry.key) + " stands twice; remove one");
      if (names.size() > kAreasMax)
        return wrong(fmt::format("has more than {} entries", kAreasMax));
      if (Result<void> done = read(entry); !done) return done;
    }
    return {};
  }

  static Result<void> read_zones(const YamlNode& node, std::vector<ZoneSettings>& zones) {
    constexpr const char* kExample =
        "write a map of polygons, such as {dock: [[0.1,0.5], [0.9,0.5], [0.9,1]]}";
    return read_named(node, kExample, [&](const YamlEntry& entry) -> Result<void> {
      Result<std::vector<RelativePoint>> points =
          read_points(entry.value, "zone " + entry.key, 3, kPointsMax, kExample);
      if (!points) return fail(points.error());
      zones.push_back({entry.key, *std::move(points)});
      return {};
    });
  }

  static Result<void> read_lines(const YamlNode& node, std::vector<LineSettings>& lines) {
    constexpr const char* kExample =
        "write a map of lines with two points each, such as {gate: [[0.5,1], [0.5,0]]}";
    return read_named(node, kExample, [&](const YamlEntry& entry) -> Result<void> {
      const Result<std::vector<RelativePoint>> points =
          read_points(entry.value, "line " + entry.key, 2, 2, kExample);
      if (!points) return fail(points.error());
      if (points->front() == points->back())
        return wrong(fmt::format("line {} ends where it begins; {}", entry.key, kExample));
      lines.push_back({entry.key, points->front(), points->back()});
      return {};
    });
  }

  Result<void> read_mask(const YamlNode& node, std::vector<std::vector<RelativePoint>>& mask) {
    constexpr const char* kExample = "write a list of polygons, such as [[[0,0], [1,0], [1,0.2]]]";
    if (node.kind != Kind::kList || node.items.empty())
      return wrong(fmt::format(
          "is {}; {}",
          node.items.empty() && node.kind == Kind::kList ? "an empty list" : describe(node.kind),
          kExample));
    std::vector<std::vector<RelativePoint>> polygons;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      Result<std::vector<RelativePoint>> points =
          read_points(node.items[i], fmt::format("polygon {}", i + 1), 3, kPointsMax, kExample);
      if (!points) return fail(points.error());
      polygons.push_back(*std::move(points));
    }
    mask = std::move(polygons);
    return {};
  }

  /// Files need no id of their own; live cameras do, because their names outlive a run.
  void assign_ids_to_files() {
    std::vector<CameraSettings> named = settings_.cameras;
    assign_camera_ids(named);
    for (std::size_t i = 0; i < named.size(); ++i) {
      CameraSettings& camera = settings_.cameras[i];
      const bool is_file = is_file_path(camera.url) && !camera.url.empty();
      if (is_file && !bad_places_.contains({"cameras", i, "id"})) camera.id = named[i].id;
    }
  }

  void check_as_a_whole() {
    std::set<std::string> reported_defaults;
    const auto names = [this](const SettingPlace& place) { return name_of(place); };
    for (const SettingProblem& problem : find_problems(settings_, name_, names)) {
      const SettingPlace& place = problem.place;
      if (bad_places_.contains(place)) continue;
      // No model can be in a section that is not there by its name.
      if (place.key == "model" && bad_places_.contains({"models", SettingPlace::kNoIndex, ""}))
        continue;
      if (place.key.empty() && bad_places_.contains({place.section, SettingPlace::kNoIndex, ""}))
        continue;
      std::string message = problem.message;
      if (problem.other_index != SettingPlace::kNoIndex)
        message += fmt::format(" (the other is in line {})",
                               line_of({place.section, problem.other_index, place.key}));
      auto in_defaults = lines_.find({"defaults", SettingPlace::kNoIndex, place.key});
      if (in_defaults == lines_.end() && !lines_.contains(rule_of(place)))
        in_defaults = lines_.find({"defaults", SettingPlace::kNoIndex, rule_of(place).key});
      const bool is_from_defaults = place.section == "cameras" && !lines_.contains(place) &&
                                    !lines_.contains(rule_of(place)) && in_defaults != lines_.end();
      if (place.section == "output") {  // stands on the command line alone
        problems_.push_back({0, fmt::format("--{}: {}", place.key, message), false});
      } else if (!is_from_defaults) {
        add_problem(line_of(place), name_of(place), message);
      } else if (reported_defaults.insert(place.key).second) {  // once, not for every camera
        add_problem(in_defaults->second, "defaults." + place.key, message);
      }
    }
  }

  /// By number where the id was made up from the file's name: the user would look for it in vain.
  [[nodiscard]] std::string name_of(const SettingPlace& place) const {
    const bool is_camera = place.section == "cameras" && place.index != SettingPlace::kNoIndex;
    const bool has_own_id = lines_.contains({"cameras", place.index, "id"});
    return describe_place(place, is_camera && !has_own_id ? RunSettings{} : settings_);
  }

  /// The place of the whole rule that a key like "rules[dock].zone" belongs to; others stay.
  static SettingPlace rule_of(SettingPlace place) {
    const std::size_t end = place.key.rfind("].");
    if (end != std::string::npos) place.key.resize(end + 1);
    return place;
  }

  /// The setting's own line, else that of its entry, its section, the file.
  int line_of(SettingPlace place) const {
    if (const auto found = lines_.find(place); found != lines_.end()) return found->second;
    // "rules[dock].zone": else that of the rule, else that of all rules.
    for (const char mark : {'.', '['}) {
      place.key.resize(std::min(place.key.size(), place.key.rfind(mark)));
      if (const auto found = lines_.find(place); found != lines_.end()) return found->second;
    }
    place.key.clear();
    if (const auto found = lines_.find(place); found != lines_.end()) return found->second;
    place.index = SettingPlace::kNoIndex;
    const auto found = lines_.find(place);
    return found != lines_.end() ? found->second : 1;
  }

  const std::string& name_;
  const std::filesystem::path folder_;
  const EnvironmentLookup& environment_;
  bool has_lines_ = true;  ///< messages name file and line
  RunSettings settings_;
  CameraSettings defaults_;
  std::map<SettingPlace, int> lines_;
  std::set<SettingPlace> bad_places_;  ///< already reported
  std::vector<Problem> problems_;
};

}  // namespace

Result<RunSettings> parse_settings(std::string_view text, const std::string& name,
                                   const EnvironmentLookup& environment,
                                   const SettingsOverride& override_settings) {
  const Result<YamlNode> root = parse_yaml(text, name);
  if (!root) return fail(root.error());
  return SettingsReader(name, environment).read(*root, override_settings);
}

Result<CameraSettings> parse_camera(std::string_view text, const CameraSettings& base) {
  const std::string name = "the camera";
  const Result<YamlNode> root = parse_yaml(text, name);
  if (!root) return fail(root.error());
  // A "$" that is no variable stands for itself: reading expands, so it is doubled before.
  const EnvironmentLookup nothing = [](const std::string&) -> std::optional<std::string> {
    return std::nullopt;
  };
  YamlNode literal = *root;
  double_dollars(literal);
  return SettingsReader(name, nothing).read_camera(literal, base);
}

Result<std::string> read_configuration(const std::string& path) {
  std::error_code status;
  if (std::filesystem::is_directory(path, status))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is a folder; name the configuration file in it", quote(path)));
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return fail(ErrorCode::kNotFound,
                fmt::format("cannot read {}; check the path and the rights", quote(path)));
  std::string text(kConfigurationBytesMax + 1, '\0');  // one more tells what is too large
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

Result<RunSettings> load_settings(const std::string& path,
                                  const SettingsOverride& override_settings) {
  const Result<std::string> text = read_configuration(path);
  if (!text) return fail(text.error());
  return parse_settings(*text, path, process_environment, override_settings);
}

}  // namespace framemill
