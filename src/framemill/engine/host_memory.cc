#include "framemill/engine/host_memory.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

namespace framemill {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLeastPart = 20;

std::optional<std::int64_t> read_number(const fs::path& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // not there, or "max"
}

/// The value of `name` in a file of names and numbers; 0 where it is not there.
std::int64_t read_field(const fs::path& path, std::string_view name) {
  std::ifstream file(path);
  std::int64_t value = 0;
  for (std::string word; file >> word;)
    if (word == name && file >> value) return value;
  return 0;
}

/// Of this process, below the root of the groups ("/" in a container); v2.
fs::path own_group(const fs::path& root) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("0::/")) return line.substr(4);
  return {};
}

bool is_scarcer(const HostMemory& a, const HostMemory& b) {
  // By part: of a small group less is much.
  return static_cast<double>(a.available_bytes) * static_cast<double>(b.total_bytes) <
         static_cast<double>(b.available_bytes) * static_cast<double>(a.total_bytes);
}

void see_group(std::optional<std::int64_t> limit, std::optional<std::int64_t> used,
               std::int64_t idle_files, std::int64_t machine_bytes, HostMemory& memory) {
  // Without a limit it is what the machine has: v1 then says the largest number of pages.
  if (!limit || !used || *limit <= 0 || *limit >= machine_bytes) return;
  const HostMemory group{.total_bytes = *limit,
                         .available_bytes = std::max<std::int64_t>(0, *limit - *used + idle_files)};
  if (is_scarcer(group, memory)) memory = group;
}

}  // namespace

HostMemory read_host_memory(const fs::path& root) {
  constexpr std::int64_t kKilo = 1024;
  HostMemory memory{.total_bytes = kKilo * read_field(root / "proc/meminfo", "MemTotal:"),
                    .available_bytes = kKilo * read_field(root / "proc/meminfo", "MemAvailable:")};
  const std::int64_t machine_bytes = memory.total_bytes;
  const fs::path groups = root / "sys/fs/cgroup";
  for (fs::path own = own_group(root);; own = own.parent_path()) {
    const fs::path group = groups / own;
    const auto used = read_number(group / "memory.current");
    const std::int64_t idle = read_field(group / "memory.stat", "inactive_file");
    for (const char* const limit : {"memory.max", "memory.high"})
      see_group(read_number(group / limit), used, idle, machine_bytes, memory);
    if (own.empty()) break;
  }
  const fs::path v1 = groups / "memory";
  see_group(read_number(v1 / "memory.limit_in_bytes"), read_number(v1 / "memory.usage_in_bytes"),
            read_field(v1 / "memory.stat", "total_inactive_file"), machine_bytes, memory);
  return memory;
}

bool is_short(const HostMemory& memory) {
  return memory.total_bytes > 0 && memory.available_bytes < memory.total_bytes / kLeastPart;
}

}  // namespace framemill
