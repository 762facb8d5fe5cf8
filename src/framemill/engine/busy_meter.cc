#include "framemill/engine/busy_meter.h"

#include <algorithm>
#include <utility>

namespace framemill {

std::optional<double> BusyMeter::look(TimePoint now, std::span<const DeviceReport> devices,
                                      std::span<const GpuReading> gpus) {
  const std::optional<TimePoint> since = std::exchange(looked_at_, now);
  double busiest = 0;
  for (const DeviceReport& device : devices) {
    const Duration before = std::exchange(worked_[device.name], device.inference_time);
    if (since && now > *since) {
      const double in_parallel = static_cast<double>(std::max<std::size_t>(1, device.batches_max));
      const double worked_s = to_seconds(device.inference_time - before);
      busiest = std::max(busiest, worked_s / (to_seconds(now - *since) * in_parallel));
    }
    const std::string card = card_of(device.name);
    for (const GpuReading& gpu : gpus)
      if (gpu.device == card) busiest = std::max(busiest, gpu.utilization.value_or(0));
  }
  if (!since || now <= *since) return std::nullopt;
  return std::clamp(busiest, 0.0, 1.0);
}

}  // namespace framemill
