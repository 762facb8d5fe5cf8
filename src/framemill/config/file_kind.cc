#include "framemill/config/file_kind.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace framemill {
namespace {

constexpr std::array<std::string_view, 5> kOnlyConfigurations = {"models", "engine", "alarms",
                                                                 "sinks", "server"};
constexpr std::array<std::string_view, 3> kOnlyWorkloads = {"plan", "devices", "links"};

bool has_key(const YamlNode& map, std::string_view key) {
  return std::ranges::find(map.entries, key, &YamlEntry::key) != map.entries.end();
}

bool has_any_key(const YamlNode& map, std::span<const std::string_view> keys) {
  return std::ranges::any_of(keys, [&](std::string_view key) { return has_key(map, key); });
}

/// Whether some camera has `key`.
bool have_cameras(const YamlNode& root, std::string_view key) {
  const auto cameras = std::ranges::find(root.entries, "cameras", &YamlEntry::key);
  return cameras != root.entries.end() &&
         std::ranges::any_of(cameras->value.items,
                             [key](const YamlNode& camera) { return has_key(camera, key); });
}

}  // namespace

std::optional<FileKind> guess_file_kind(const YamlNode& root) {
  const bool is_configuration = has_any_key(root, kOnlyConfigurations) || have_cameras(root, "url");
  const bool is_workload = has_any_key(root, kOnlyWorkloads) || have_cameras(root, "count");
  if (is_configuration == is_workload) return std::nullopt;
  return is_workload ? FileKind::kWorkload : FileKind::kConfiguration;
}

std::string wrong_file_kind(const YamlNode& root, FileKind wanted) {
  const std::optional<FileKind> kind = guess_file_kind(root);
  if (!kind || *kind == wanted) return {};
  if (*kind == FileKind::kWorkload)
    return "this looks like a workload, which is for plan, simulate and verify; a configuration "
           "names models, and cameras with their url";
  return "this looks like a configuration, which is for run; a workload has groups of cameras, "
         "such "
         "as `cameras: [{name: gates, count: 12, rate: 10}]`";
}

}  // namespace framemill
