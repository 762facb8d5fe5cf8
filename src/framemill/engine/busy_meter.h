#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>

#include "framemill/base/clock.h"
#include "framemill/engine/device_pool.h"
#include "framemill/metrics/gpu_meter.h"

namespace framemill {

/// How busy the busiest device of a run is: one card that is full beside an idle one is trouble for
/// the cameras of its models. Of a device counts the time in batches that have ended, as a share of
/// what it runs in parallel, or what NVML tells of its card, if that is more: others may use it.
/// Not thread-safe.
class BusyMeter {
 public:
  /// 0..1, since the look before. `gpus`: as GpuMeter reads them. None at the first look.
  std::optional<double> look(TimePoint now, std::span<const DeviceReport> devices,
                             std::span<const GpuReading> gpus);

 private:
  std::optional<TimePoint> looked_at_;
  std::map<std::string, Duration> worked_;  ///< by device, until then
};

}  // namespace framemill
