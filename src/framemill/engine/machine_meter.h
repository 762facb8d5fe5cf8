#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/metrics/gpu_meter.h"

namespace framemill {

/// Whose energy, temperature and memory are read.
struct MeteredDevice {
  std::string device = "CPU";  ///< as its backend names it
  std::string name;            ///< as it calls itself; needed of cards alone
  /// As GpuMeter::read(); empty: nothing is read of cards.
  std::function<std::vector<GpuReading>()> read_cards;
};

/// One reading of what the machine, this process and the device have used; of times and energy,
/// differences between two readings mean something.
struct MeterReading {
  TimePoint at;
  Duration process_cpu{0};                   ///< of this process, all threads
  std::optional<Duration> machine_cpu;       ///< of everything on the machine, stolen time included
  std::optional<double> energy_j;            ///< of the processor packages
  std::optional<double> power_w;             ///< of a card, by its driver: of late (up to a second)
  std::optional<double> temperature_c;       ///< of the processor's hottest sensor, or of a card
  std::optional<std::int64_t> device_bytes;  ///< of a card's memory, in use by anybody
};

/// Reads processor time, and of the device what can be read: of the processor energy (RAPL) and
/// temperature (hwmon), of NVIDIA's cards power, temperature and memory (NVML), of others nothing.
/// What the system does not show is absent. Linux. Thread-safety: one thread.
class MachineMeter {
 public:
  /// `clock` outlives this. `root`: in place of "/", for tests.
  explicit MachineMeter(const Clock& clock, MeteredDevice device = {},
                        std::filesystem::path root = "/");
  [[nodiscard]] MeterReading read();

 private:
  struct EnergyCounter {
    std::filesystem::path path;
    double range_uj = 0;  ///< it begins at 0 again there
    double last_uj = 0;
    double total_uj = 0;
  };

  void look_for_sensors();

  const Clock& clock_;
  const MeteredDevice device_;
  const std::filesystem::path root_;
  std::vector<EnergyCounter> energy_;
  std::vector<std::filesystem::path> temperatures_;
};

/// Gives memory that is free back to the system and restarts the measuring of the peak. False where
/// the kernel does not let it be restarted.
bool reset_peak_memory();
/// Resident memory of this process: at most since reset_peak_memory(), else since its start.
[[nodiscard]] std::int64_t peak_memory_bytes();

/// The governor of the first processor core, such as "performance"; none where not readable.
[[nodiscard]] std::optional<std::string> read_governor(const std::filesystem::path& root = "/");

}  // namespace framemill
