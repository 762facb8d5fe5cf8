#include "framemill/config/workload.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "framemill/config/file_kind.h"
#include "framemill/config/nearest_word.h"
#include "framemill/config/setting_value.h"
#include "framemill/config/validate.h"
#include "framemill/config/workload_tables.h"
#include "framemill/config/yaml_tree.h"

namespace framemill {
namespace {

constexpr std::array<std::string_view, 5> kSections = {"plan", "defaults", "cameras", "devices",
                                                       "links"};
constexpr std::size_t kGroupsMax = 1000;
constexpr std::size_t kDevicesMax = 100;
constexpr double kCamerasMax = 1e9;
constexpr double kFramesPerSecondMax = 1e12;

using Kind = YamlNode::Kind;

/// One pass over the tree; problems gather while the good parts are taken over.
class WorkloadReader {
 public:
  explicit WorkloadReader(const std::string& name) : name_(name) {}

  Result<Workload> read(const YamlNode& root) {
    constexpr const char* kExample =
        "write at least `cameras: [{name: gates, count: 12, rate: 10}]`";
    if (const std::string other = wrong_file_kind(root, FileKind::kWorkload); !other.empty())
      add_problem(root.line, "", other);  // alone: no key of it is what it seems
    else if (root.kind == Kind::kNull)
      add_problem(std::max(root.line, 1), "", fmt::format("the file is empty; {}", kExample));
    else if (root.kind != Kind::kMap)
      add_problem(root.line, "", fmt::format("the file is {}; {}", describe(root.kind), kExample));
    else
      read_root(root);
    if (problems_.empty()) check_sums();
    if (problems_.empty()) return std::move(workload_);
    std::ranges::stable_sort(problems_, {}, &Problem::line);
    std::vector<std::string> lines;
    for (const Problem& problem : problems_) lines.push_back(problem.text);
    return fail(list_problems(lines, ErrorCode::kInvalidArgument));
  }

 private:
  struct Problem {
    int line;
    std::string text;
  };

  void add_problem(int line, std::string_view path, std::string_view message) {
    problems_.push_back(
        {line, fmt::format("{}:{}: {}{}{}", name_, line, path, path.empty() ? "" : ": ", message)});
  }

  static std::string join(std::string_view path, std::string_view key) {
    // A key may be any text; only what could be a key is shown as it is.
    const std::string shown = is_valid_name(key) ? std::string(key) : quote(key);
    return path.empty() ? shown : fmt::format("{}.{}", path, shown);
  }

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

  void add_unknown(const YamlEntry& entry, std::string_view path,
                   const std::vector<std::string_view>& known) {
    const std::string meant = did_you_mean(entry.key, known);
    add_problem(entry.line, join(path, entry.key),
                meant.empty() ? fmt::format("unknown key; there are {}", fmt::join(known, ", "))
                              : fmt::format("unknown key;{}", meant));
  }

  void read_root(const YamlNode& root) {
    std::map<std::string_view, const YamlEntry*> sections;
    bool is_cameras_misspelt = false;
    for (const YamlEntry* entry : unique_entries(root, "")) {
      if (std::ranges::find(kSections, entry->key) != kSections.end()) {
        sections[entry->key] = entry;
        continue;
      }
      add_unknown(*entry, "", {kSections.begin(), kSections.end()});
      is_cameras_misspelt |= nearest_word(entry->key, kSections) == "cameras";
    }
    const auto section = [&](std::string_view name, Kind kind) -> const YamlNode* {
      const auto found = sections.find(name);
      if (found == sections.end() || found->second->value.kind == Kind::kNull) return nullptr;
      if (found->second->value.kind == kind) return &found->second->value;
      add_problem(
          found->second->line, name,
          fmt::format("is {}; write {}", describe(found->second->value.kind),
                      kind == Kind::kMap ? "a map, `key: value`" : "a list, `- key: value`"));
      return nullptr;
    };
    if (const YamlNode* const node = section("plan", Kind::kMap))
      read_entry(*node, workload_, "plan", false);
    if (const YamlNode* const node = section("defaults", Kind::kMap))
      read_entry(*node, defaults_, "defaults", true);
    if (const YamlNode* const node = section("links", Kind::kMap))
      read_entry(*node, workload_.links, "links", false);
    if (const YamlNode* const node = section("cameras", Kind::kList)) read_cameras(*node);
    if (const YamlNode* const node = section("devices", Kind::kList)) read_devices(*node);
    const auto cameras = sections.find("cameras");
    const bool is_cameras_wrong = cameras != sections.end() &&
                                  cameras->second->value.kind != Kind::kNull &&
                                  cameras->second->value.kind != Kind::kList;
    const bool is_told = is_cameras_wrong || (is_cameras_misspelt && cameras == sections.end());
    if (workload_.cameras.empty() && !is_told)
      add_problem(cameras == sections.end() ? root.line : cameras->second->line, "cameras",
                  "there is no group; a workload has at least one, such as "
                  "`cameras: [{name: gates, count: 12, rate: 10}]`");
    check_recording(root, sections);
  }

  void check_recording(const YamlNode& root,
                       const std::map<std::string_view, const YamlEntry*>& sections) {
    if (!workload_.links.is_recorded || workload_.links.disk_mbyte_per_s) return;
    const auto links = sections.find("links");
    add_problem(links == sections.end() ? root.line : links->second->line, "links.recording",
                "needs to know the disk; add `disk: 500` (MB/s)");
  }

  void read_cameras(const YamlNode& node) {
    if (node.items.size() > kGroupsMax) {
      add_problem(node.line, "cameras",
                  fmt::format("has {} groups, more than {}; put cameras that are alike into one",
                              node.items.size(), kGroupsMax));
      return;
    }
    std::map<std::string, int> lines;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const YamlNode& item = node.items[i];
      CameraGroup& group = workload_.cameras.emplace_back(defaults_);
      group.name = fmt::format("group-{}", i + 1);
      if (item.kind != Kind::kMap) {
        add_problem(item.line, fmt::format("cameras[{}]", i),
                    fmt::format("is {}; write a map, such as {{name: gates, count: 12, rate: 10}}",
                                describe(item.kind)));
        continue;
      }
      const std::string path = fmt::format("cameras[{}]", own_name(item, group.name));
      read_entry(item, group, path, false);
      const auto [first, is_new] = lines.emplace(group.name, item.line);
      if (!is_new)
        add_problem(item.line, path + ".name",
                    fmt::format("is the name of the group in line {} too; give each its own",
                                first->second));
      check_group(group, item.line, path);
    }
  }

  void check_group(CameraGroup& group, int line, const std::string& path) {
    group.model = std::filesystem::path(group.model).filename().string();
    // A camera cannot be sampled faster than it delivers.
    if (group.rate_hz > group.fps)
      add_problem(line, path + ".rate",
                  fmt::format("{:g} answers a second need as many frames, but the camera delivers "
                              "{:g}; lower rate, or raise fps",
                              group.rate_hz, group.fps));
    const bool has_budget = group.budget.share || group.budget.per_second;
    if (has_budget &&
        (group.policy == PolicyKind::kFull || group.policy == PolicyKind::kSimilarity))
      add_problem(line, path + ".budget",
                  fmt::format("cannot be held by policy {}; use `policy: adaptive`",
                              to_string(group.policy)));
  }

  void read_devices(const YamlNode& node) {
    if (node.items.size() > kDevicesMax) {
      add_problem(node.line, "devices", fmt::format("has more than {} entries", kDevicesMax));
      return;
    }
    std::map<std::string, int> lines;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const YamlNode& item = node.items[i];
      DeviceCandidate& device = workload_.devices.emplace_back();
      std::string path = fmt::format("devices[{}]", i);
      if (item.kind == Kind::kText && !item.text.empty()) {  // `devices: [T4, L4]`
        device.name = item.text;
      } else if (item.kind != Kind::kMap) {
        add_problem(item.line, path,
                    fmt::format("is {}; write a name, or a map such as {{name: T4, price: 2000}}",
                                describe(item.kind)));
        continue;
      } else {
        path = fmt::format("devices[{}]", own_name(item, std::to_string(i)));
        const std::size_t problems = problems_.size();
        read_entry(item, device, path, false);
        if (device.name.empty() && problems_.size() == problems)
          add_problem(item.line, path, "has no name; write one, such as `name: T4`");
      }
      if (device.name.empty()) continue;
      const auto [first, is_new] = lines.emplace(device.name, item.line);
      if (!is_new)
        add_problem(item.line, path,
                    fmt::format("stands twice, first in line {}; remove one", first->second));
    }
  }

  /// What messages call an entry: its own name, or else `otherwise`.
  static std::string own_name(const YamlNode& map, const std::string& otherwise) {
    for (const YamlEntry& entry : map.entries)
      if (entry.key == "name" && entry.value.kind == Kind::kText && is_valid_name(entry.value.text))
        return entry.value.text;
    return otherwise;
  }

  template <typename Settings>
  void read_entry(const YamlNode& map, Settings& settings, const std::string& path,
                  bool is_defaults) {
    std::vector<std::string_view> known;
    for (const Setting<Settings>& row : SettingsTable<Settings>::kRows)
      if (!is_defaults || !row.is_own) known.push_back(row.key);
    for (const YamlEntry* entry : unique_entries(map, path)) {
      const Setting<Settings>* const row = find_setting<Settings>(entry->key);
      if (row == nullptr) {
        add_unknown(*entry, path, known);
        continue;
      }
      if (is_defaults && row->is_own) {
        add_problem(entry->line, join(path, entry->key),
                    "belongs to a group, not to defaults; move it there");
        continue;
      }
      if (Result<void> done = read_value(*row, settings, entry->value); !done)
        add_problem(entry->line, join(path, entry->key), done.error().message());
    }
  }

  template <typename Settings>
  static Result<void> read_value(const Setting<Settings>& row, Settings& settings,
                                 const YamlNode& node) {
    if (node.kind == Kind::kNull)
      return fail(ErrorCode::kInvalidArgument, "has no value; write one, or leave the key out");
    if (node.kind != Kind::kText)
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("is {}; write a single value ({})", describe(node.kind), describe_type(row)));
    return set_from_text(row, settings, node.text, node.text);
  }

  void check_sums() {
    double cameras = 0;
    double frames = 0;
    for (const CameraGroup& group : workload_.cameras) {
      cameras += static_cast<double>(group.count);
      frames += static_cast<double>(group.count) * group.fps;
    }
    if (cameras > kCamerasMax)
      add_problem(1, "cameras",
                  fmt::format("{:.0f} cameras are more than one plan takes ({:.0f}); split them",
                              cameras, kCamerasMax));
    else if (frames > kFramesPerSecondMax)
      add_problem(1, "cameras",
                  fmt::format("{:.3g} frames a second are more than one plan takes ({:.0e})",
                              frames, kFramesPerSecondMax));
  }

  const std::string& name_;
  Workload workload_;
  CameraGroup defaults_;
  std::vector<Problem> problems_;
};

/// A cell of a Markdown table.
std::string cell(std::string text) {
  for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2))
    text.insert(at, 1, '\\');
  return text;
}

template <typename Settings>
void append_section(std::string& text, std::string_view name, std::string_view introduction) {
  text += fmt::format("\n## {}\n\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                      name, introduction);
  for (const Setting<Settings>& row : SettingsTable<Settings>::kRows) {
    const std::string range = describe_range(row);
    const bool is_duration = std::holds_alternative<Duration Settings::*>(row.field);
    const std::string unit = is_duration ? std::string() : std::string(row.unit);
    text += fmt::format("| `{}` | {}{}{}{}{} | {} | {} |\n", row.key, cell(describe_type(row)),
                        range.empty() ? "" : ", ", range, unit.empty() ? "" : " ", unit,
                        cell(describe_default(row)), cell(std::string(row.help)));
  }
}

}  // namespace

double inferred_share(const CameraGroup& group) {
  if (group.duty) return *group.duty;
  const bool is_saving = group.policy == PolicyKind::kHold || group.policy == PolicyKind::kAdaptive;
  const bool is_always =
      group.policy == PolicyKind::kAdaptive && group.priority == Priority::kCritical;
  if (!is_saving || is_always) return 1;
  if (group.budget.share) return *group.budget.share;
  const double sampled = static_cast<double>(group.count) * group.rate_hz;
  if (group.budget.per_second) return std::min(1.0, *group.budget.per_second / sampled);
  return 1;
}

double inferences_per_s(const CameraGroup& group) {
  return static_cast<double>(group.count) * group.rate_hz * inferred_share(group);
}

std::size_t count_cameras(const Workload& workload) {
  std::int64_t cameras = 0;
  for (const CameraGroup& group : workload.cameras) cameras += group.count;
  return static_cast<std::size_t>(cameras);
}

Result<Workload> parse_workload(std::string_view text, const std::string& name) {
  const Result<YamlNode> root = parse_yaml(text, name);
  if (!root) return fail(root.error());
  Result<Workload> workload = WorkloadReader(name).read(*root);
  if (workload && workload->name.empty())
    workload->name = std::filesystem::path(name).stem().string();
  return workload;
}

Result<Workload> load_workload(const std::string& path) {
  std::error_code status;
  if (std::filesystem::is_directory(path, status))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is a folder; name the workload file in it", quote(path)));
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return fail(ErrorCode::kNotFound,
                fmt::format("cannot read {}; check the path and the rights", quote(path)));
  std::string text(kConfigurationBytesMax + 1, '\0');  // one more tells what is too large
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return parse_workload(text, path);
}

std::string workload_markdown() {
  std::string text =
      "# Workload file\n\n"
      "<!-- Generated from src/framemill/config/workload_tables.h by config_test; do not edit. "
      "-->\n\n"
      "What a site asks for, as `framemill plan`, `simulate` and `verify` read it (YAML). It is "
      "read strictly:\nan unknown key, a key that stands twice, a wrong type or a value out of "
      "range is an error, and up to 20\nare shown at once. Durations have a unit: `200ms`, "
      "`2s`.\n\n"
      "```yaml\n"
      "plan: {name: plant-west, redundancy: 1.5}\n"
      "defaults: {codec: h264, resolution: 1920x1080, fps: 25, rate: 10, slo: 200ms}\n"
      "cameras:\n"
      "  - {name: gates, count: 12, priority: critical, slo: 100ms}\n"
      "  - {name: halls, count: 52, rate: 5}\n"
      "devices: [T4, {name: L4, price: 2600}]\n"
      "```\n";
  append_section<CameraGroup>(
      text, "cameras",
      "A list; one entry for cameras that are alike. All keys but `name` and `count` may also "
      "stand in\n`defaults:`, and a group's own count more.");
  append_section<DeviceCandidate>(
      text, "devices",
      "A list of what could be bought: names, or maps. Without it the plan is made for the "
      "devices of the profiles.");
  append_section<Workload>(text, "plan", "What holds for the whole plan.");
  append_section<WorkloadLinks>(text, "links",
                                "What moves the data; what is left out is not looked at.");
  return text;
}

}  // namespace framemill
