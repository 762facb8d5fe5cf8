#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"

namespace framemill {

/// One reading of what the machine and this process have used; differences between two of them
/// mean something.
struct MeterReading {
  TimePoint at;
  Duration process_cpu{0};              ///< of this process, all threads
  std::optional<Duration> machine_cpu;  ///< of everything on the machine, stolen time included
  std::optional<double> energy_j;       ///< of the processor packages
  std::optional<double> temperature_c;  ///< of the hottest sensor of the processor
};

/// Reads processor time, energy (RAPL) and temperature (hwmon) where the system shows them; what it
/// does not show is absent. Linux. Thread-safety: one thread.
class MachineMeter {
 public:
  /// `clock` outlives this. `root`: in place of "/", for tests.
  explicit MachineMeter(const Clock& clock, std::filesystem::path root = "/");
  [[nodiscard]] MeterReading read();

 private:
  struct EnergyCounter {
    std::filesystem::path path;
    double range_uj = 0;  ///< it begins at 0 again there
    double last_uj = 0;
    double total_uj = 0;
  };

  const Clock& clock_;
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
