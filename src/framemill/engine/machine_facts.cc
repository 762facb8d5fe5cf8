#include "framemill/engine/machine_facts.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

#include <unistd.h>

#include "framemill/engine/environment.h"
#include "framemill/engine/machine_meter.h"
#include "framemill/infer/cpu_quota.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;

/// Those that OpenVINO's and our own kernels choose by, as /proc/cpuinfo calls them (x86, then
/// ARM).
constexpr std::array<std::string_view, 12> kFeatures{
    "sse4_2",      "avx",      "avx2",     "fma",   "avx_vnni", "avx512f",
    "avx512_vnni", "amx_int8", "amx_bf16", "asimd", "asimddp",  "i8mm"};

/// A limit of this size is none: cgroup v1 writes the largest number of pages.
constexpr std::int64_t kNoLimit = std::int64_t{1} << 60;

std::optional<std::int64_t> read_number(const fs::path& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // not there, or "max"
}

void read_cpu(const fs::path& root, MachineFacts& facts) {
  facts.cpu = "unknown";
  std::ifstream file(root / "proc/cpuinfo");
  std::string flags;
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string value = line.substr(std::min(colon + 2, line.size()));
    if (line.starts_with("model name") && facts.cpu == "unknown") facts.cpu = value;
    if ((line.starts_with("flags") || line.starts_with("Features")) && flags.empty()) flags = value;
  }
  std::istringstream words(flags);
  std::vector<std::string> found;
  for (std::string word; words >> word;) found.push_back(word);
  for (const std::string_view feature : kFeatures) {
    if (std::ranges::find(found, feature) != found.end()) facts.cpu_features.emplace_back(feature);
  }
}

void read_memory(const fs::path& root, MachineFacts& facts) {
  std::ifstream file(root / "proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t kilobytes = 0;
    words >> name >> kilobytes;
    if (name == "MemTotal:") facts.memory_bytes = kilobytes * 1024;
    if (name == "MemAvailable:") facts.memory_available_bytes = kilobytes * 1024;
  }
  // Containers see their own group as the root.
  const fs::path group = root / "sys/fs/cgroup";
  auto limit = read_number(group / "memory.max");
  auto used = read_number(group / "memory.current");
  if (!limit) {
    limit = read_number(group / "memory/memory.limit_in_bytes");
    used = read_number(group / "memory/memory.usage_in_bytes");
  }
  if (!limit || *limit >= kNoLimit) return;
  facts.memory_limit_bytes = limit;
  facts.memory_used_bytes = used;
}

void read_gpus(const fs::path& root, MachineFacts& facts) {
  std::error_code error;
  const auto is_gpu = [](const std::string& name) {
    const bool is_numbered =
        name.starts_with("nvidia") && name.size() > 6 &&
        std::all_of(name.begin() + 6, name.end(), [](unsigned char c) { return std::isdigit(c); });
    return is_numbered || name.starts_with("renderD");
  };
  for (const char* const folder : {"dev", "dev/dri"}) {
    for (fs::directory_iterator it(root / folder, error), end; !error && it != end;
         it.increment(error)) {
      if (is_gpu(it->path().filename().string())) facts.gpus.push_back(it->path().string());
    }
    error.clear();
  }
  std::ranges::sort(facts.gpus);
  for (const std::string& path : facts.gpus) {
    if (access(path.c_str(), R_OK | W_OK) != 0) facts.locked.push_back(path);
  }
  std::ifstream driver(root / "proc/driver/nvidia/version");
  std::string line;
  if (std::getline(driver, line)) facts.nvidia = line;
}

}  // namespace

MachineFacts read_machine_facts(const fs::path& root) {
  MachineFacts facts;
  read_cpu(root, facts);
  facts.cores = usable_core_count();
  facts.machine_cores = std::max<std::size_t>(
      facts.cores, static_cast<std::size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN))));
  read_memory(root, facts);
  std::ifstream load(root / "proc/loadavg");
  load >> facts.load_average;
  facts.kernel = read_environment().kernel;
  facts.governor = read_governor(root);
  read_gpus(root, facts);
  return facts;
}

}  // namespace framemill
