#include "framemill/engine/machine_meter.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>
#include <utility>

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include "framemill/metrics/cpu_ticks.h"

namespace framemill {
namespace {

template <typename T>
std::optional<T> read_value(const std::filesystem::path& path) {
  std::ifstream file(path);
  T value{};
  if (file >> value) return value;
  return std::nullopt;
}

/// The entries of a folder in the order of their names; none where it is not there.
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> entries;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error))
    entries.push_back(it->path());
  std::ranges::sort(entries);
  return entries;
}

/// Sensors of processors as the kernel's drivers call them; others (disks, boards) say nothing
/// about the load.
bool is_processor_sensor(const std::string& name) {
  constexpr std::array<std::string_view, 4> kNames{"coretemp", "k10temp", "zenpower",
                                                   "cpu_thermal"};
  return std::ranges::find(kNames, name) != kNames.end();
}

/// Busy time of all cores since the machine started.
std::optional<Duration> read_machine_cpu(const std::filesystem::path& root) {
  const std::optional<CpuTicks> ticks = read_cpu_ticks(root);
  if (!ticks) return std::nullopt;
  return from_seconds(ticks->busy / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace

MachineMeter::MachineMeter(const Clock& clock, MeteredDevice device, std::filesystem::path root)
    : clock_(clock), device_(std::move(device)), root_(std::move(root)) {
  if (device_.device == "CPU") look_for_sensors();
}

void MachineMeter::look_for_sensors() {
  for (const auto& zone : list_folder(root_ / "sys/class/powercap")) {
    // "intel-rapl:0" is a package (AMD's, too); "intel-rapl:0:0" is a part of it.
    const std::string name = zone.filename().string();
    if (!name.starts_with("intel-rapl:") || std::ranges::count(name, ':') != 1) continue;
    const auto now = read_value<double>(zone / "energy_uj");
    if (!now) continue;  // mostly root's alone
    energy_.push_back({.path = zone / "energy_uj",
                       .range_uj = read_value<double>(zone / "max_energy_range_uj").value_or(0),
                       .last_uj = *now});
  }
  for (const auto& chip : list_folder(root_ / "sys/class/hwmon")) {
    if (!is_processor_sensor(read_value<std::string>(chip / "name").value_or(""))) continue;
    for (const auto& entry : list_folder(chip)) {
      const std::string name = entry.filename().string();
      if (name.starts_with("temp") && name.ends_with("_input")) temperatures_.push_back(entry);
    }
  }
}

MeterReading MachineMeter::read() {
  MeterReading reading{.at = clock_.now()};
  rusage self{};
  if (getrusage(RUSAGE_SELF, &self) == 0) {
    const auto span = [](const timeval& time) {
      return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
    };
    reading.process_cpu = span(self.ru_utime) + span(self.ru_stime);
  }
  reading.machine_cpu = read_machine_cpu(root_);
  for (EnergyCounter& counter : energy_) {
    const auto now = read_value<double>(counter.path);
    if (!now) continue;
    counter.total_uj += *now - counter.last_uj + (*now < counter.last_uj ? counter.range_uj : 0);
    counter.last_uj = *now;
    reading.energy_j = reading.energy_j.value_or(0) + counter.total_uj / 1e6;
  }
  for (const auto& path : temperatures_) {
    const auto millidegrees = read_value<double>(path);
    if (!millidegrees) continue;
    reading.temperature_c = std::max(reading.temperature_c.value_or(-273), *millidegrees / 1000);
  }
  const std::vector<GpuReading> cards =
      device_.read_cards ? device_.read_cards() : std::vector<GpuReading>();
  if (const GpuReading* const card = find_card(cards, device_.device, device_.name)) {
    reading.power_w = card->power_w;
    reading.temperature_c = card->temperature_c;
    reading.device_bytes = card->memory_used_bytes;
  }
  return reading;
}

bool reset_peak_memory() {
  malloc_trim(0);
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;  // see proc(5): VmHWM restarts at VmRSS
  return static_cast<bool>(file);
}

std::int64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  rusage self{};
  return getrusage(RUSAGE_SELF, &self) == 0 ? static_cast<std::int64_t>(self.ru_maxrss) * 1024 : 0;
}

std::optional<std::string> read_governor(const std::filesystem::path& root) {
  return read_value<std::string>(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
}

}  // namespace framemill
