#include "framemill/cli/doctor_memory.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "framemill/config/workload.h"
#include "framemill/plan/capacity.h"

namespace framemill {
namespace {

constexpr double kCameraBytes = 5e6;                 // whatever its pictures are
constexpr std::int64_t kProcessBytes = 120'000'000;  // without cameras and models
constexpr Size kUnknownSize{1920, 1080};
constexpr Size kSmallSize{640, 360};

std::string describe(double bytes) {
  return bytes < 1e9 ? fmt::format("{:.0f} MB", bytes / 1e6)
                     : fmt::format("{:.1f} GB", bytes / 1e9);
}
std::string describe(std::int64_t bytes) { return describe(static_cast<double>(bytes)); }

std::string count_cameras(std::size_t count) {
  return fmt::format("{} camera{}", count, count == 1 ? "" : "s");
}

/// What makes it fit, where the cameras or else the models take most.
std::string how_to_take_less(const DoctorReport& report) {
  const MemoryNeed& need = report.memory;
  const char* const more =
      need.is_of_container ? "raise the container's limit" : "add memory to the machine";
  const std::int64_t room = need.limit_bytes - need.models_bytes - need.process_bytes;
  if (room <= 0 || need.cameras_bytes < need.models_bytes)
    return fmt::format("smaller models, or fewer rungs of their ladders; or {}", more);
  const double each =
      static_cast<double>(need.cameras_bytes) / static_cast<double>(report.cameras.size());
  return fmt::format(
      "let the cameras send a smaller stream (one of {}x{} takes about {}), keep about {} such "
      "cameras here and the others on another machine, or {}",
      kSmallSize.width, kSmallSize.height, describe(camera_memory_bytes(kSmallSize)),
      static_cast<std::int64_t>(static_cast<double>(room) / each), more);
}

}  // namespace

double camera_memory_bytes(Size size) { return kCameraBytes + picture_bytes_of_camera(size); }

MemoryNeed estimate_memory(const DoctorReport& report) {
  MemoryNeed need{.process_bytes = kProcessBytes};
  double cameras = 0;
  for (const CheckedCamera& camera : report.cameras) {
    const bool is_known = camera.size.width > 0 && camera.size.height > 0;
    cameras += camera_memory_bytes(is_known ? camera.size : kUnknownSize);
    need.is_known = need.is_known && is_known;
  }
  need.cameras_bytes = static_cast<std::int64_t>(cameras);
  for (const CheckedModel& model : report.models) {
    need.models_bytes += model.host_bytes * static_cast<std::int64_t>(model.device_count);
    need.is_known = need.is_known && model.error.empty();
  }
  const MachineFacts& machine = report.machine;
  std::int64_t all = machine.memory_bytes;
  need.free_bytes = machine.memory_available_bytes;
  if (machine.memory_limit_bytes && *machine.memory_limit_bytes < all) {
    all = *machine.memory_limit_bytes;
    need.is_of_container = true;
    need.free_bytes = std::min(need.free_bytes, all - machine.memory_used_bytes.value_or(0));
  }
  need.limit_bytes = static_cast<std::int64_t>(static_cast<double>(all) * Workload().memory_limit);
  return need;
}

std::string describe_memory_need(const MemoryNeed& need) {
  return fmt::format(
      "cameras {}, models {}, framemill itself {}: {}{}; {} may be used, {} are free",
      describe(need.cameras_bytes), describe(need.models_bytes), describe(need.process_bytes),
      describe(need.total_bytes()), need.is_known ? "" : " (of what could be looked at)",
      describe(need.limit_bytes), describe(need.free_bytes));
}

bool look_at_memory(DoctorReport& report) {
  const MemoryNeed& need = report.memory;
  if (report.cameras.empty() || need.limit_bytes <= 0) return false;
  const std::string wanted =
      fmt::format("{} need about {} of memory, the models {}: {} with framemill itself",
                  count_cameras(report.cameras.size()), describe(need.cameras_bytes),
                  describe(need.models_bytes), describe(need.total_bytes()));
  if (need.total_bytes() > need.limit_bytes) {
    report.findings.push_back(
        {Finding::Kind::kFix,
         fmt::format("{}, and {} are what may be used of {} ({:.0f} %)", wanted,
                     describe(need.limit_bytes),
                     need.is_of_container ? "the container's" : "this machine's",
                     100 * Workload().memory_limit),
         how_to_take_less(report)});
    return true;
  }
  // Where next to nothing is free, that is said anyway, and has to be fixed.
  if (need.total_bytes() > need.free_bytes && need.free_bytes >= kMemoryLow)
    report.findings.push_back(
        {Finding::Kind::kAdvice,
         fmt::format("{}, and {} are free now", wanted, describe(need.free_bytes)),
         "end what else runs here before framemill starts; one that runs already is among it"});
  return false;
}

}  // namespace framemill
