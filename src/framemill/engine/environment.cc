#include "framemill/engine/environment.h"

#include <fstream>
#include <random>
#include <string_view>

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "framemill/infer/cpu_quota.h"

namespace framemill {
namespace {

std::string read_cpu_model(const std::filesystem::path& root) {
  std::ifstream cpuinfo(root / "proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

Duration to_duration(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

}  // namespace

Environment read_environment(const std::filesystem::path& root) {
  Environment environment;
  environment.cpu_model = read_cpu_model(root);
  environment.cpu_count = static_cast<unsigned>(usable_core_count(root));
  environment.memory_bytes =
      static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  utsname name{};
  if (uname(&name) == 0) {
    environment.kernel = std::string(name.sysname) + " " + std::string(name.release);
  }
  return environment;
}

ProcessUsage read_process_usage() {
  ProcessUsage usage;
  rusage self{};
  if (getrusage(RUSAGE_SELF, &self) == 0) {
    usage.cpu_user = to_duration(self.ru_utime);
    usage.cpu_system = to_duration(self.ru_stime);
    usage.rss_peak_bytes = static_cast<std::int64_t>(self.ru_maxrss) * 1024;
  }
  std::ifstream statm("/proc/self/statm");
  std::int64_t total_pages = 0, resident_pages = 0;
  if (statm >> total_pages >> resident_pages) {
    usage.rss_bytes = resident_pages * sysconf(_SC_PAGESIZE);
  }
  return usage;
}

std::string make_run_id(WallTime now) {
  constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::string id(26, '0');
  auto ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  for (std::size_t i = 10; i-- > 0; ms /= 32) id[i] = kDigits[ms % 32];
  std::random_device random;
  for (std::size_t i = 10; i < id.size(); ++i) id[i] = kDigits[random() % 32];
  return id;
}

}  // namespace framemill
