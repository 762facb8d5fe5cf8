#include "framemill/metrics/host_meter.h"

#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include <unistd.h>

#include "framemill/metrics/cpu_ticks.h"

namespace framemill {
namespace {

/// User and system time of this process, in seconds.
std::optional<double> read_process_s(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // The name in brackets may hold anything, spaces and brackets, too.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::size_t at = name_end + 1;
  double ticks = 0;
  for (int field = 3; field <= 15; ++field) {
    at = text.find_first_not_of(' ', at);
    if (at == std::string::npos) return std::nullopt;
    const std::size_t end = text.find(' ', at);
    if (field >= 14) ticks += std::strtod(text.c_str() + at, nullptr);
    at = end;
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::int64_t read_kilobytes(const std::filesystem::path& file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string word; lines >> word;) {
    std::int64_t kilobytes = 0;
    if (word == key && lines >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

std::int64_t count_entries(const std::filesystem::path& folder) {
  std::error_code error;
  std::int64_t count = 0;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    ++count;
  }
  return count;
}

}  // namespace

HostMeter::HostMeter(const Clock& clock, std::filesystem::path root)
    : clock_(clock), root_(std::move(root)) {}

HostReading HostMeter::read() {
  HostReading reading;
  const TimePoint now = clock_.now();
  if (const std::optional<CpuTicks> ticks = read_cpu_ticks(root_)) {
    if (last_total_ && ticks->total > *last_total_) {
      reading.cpu_utilization = (ticks->busy - *last_busy_) / (ticks->total - *last_total_);
    }
    last_busy_ = ticks->busy;
    last_total_ = ticks->total;
  }
  if (const std::optional<double> process_s = read_process_s(root_)) {
    const double passed_s = to_seconds(now - last_at_);
    if (last_process_s_ && passed_s > 0) {
      reading.process_cpu_cores = (*process_s - *last_process_s_) / passed_s;
    }
    last_process_s_ = process_s;
  }
  last_at_ = now;
  reading.process_rss_bytes = read_kilobytes(root_ / "proc/self/status", "VmRSS:");
  reading.memory_total_bytes = read_kilobytes(root_ / "proc/meminfo", "MemTotal:");
  reading.memory_used_bytes =
      reading.memory_total_bytes - read_kilobytes(root_ / "proc/meminfo", "MemAvailable:");
  reading.process_threads = count_entries(root_ / "proc/self/task");
  reading.process_descriptors = count_entries(root_ / "proc/self/fd");
  return reading;
}

}  // namespace framemill
