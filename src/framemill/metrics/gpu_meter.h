#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// How a graphics device stands. What it does not show is none.
struct GpuReading {
  std::string device;                 ///< "cuda:0": as ONNX Runtime calls it; counted by NVML
  std::string name;                   ///< as the device calls itself
  std::optional<double> utilization;  ///< 0..1, over the driver's own window
  std::optional<std::int64_t> memory_used_bytes;
  std::optional<std::int64_t> memory_total_bytes;
  std::optional<double> temperature_c;
  std::optional<double> power_w;
};

/// NVIDIA's devices by NVML, which is loaded while the program runs: where it is missing there are
/// no devices, and nothing fails. Not thread-safe.
class GpuMeter {
 public:
  /// `library`: another one in tests.
  explicit GpuMeter(const std::string& library = "libnvidia-ml.so.1");
  GpuMeter(const GpuMeter&) = delete;
  ~GpuMeter();

  /// By device; empty where there is none. About 1 ms a device.
  [[nodiscard]] std::vector<GpuReading> read();

 private:
  struct Library;
  std::unique_ptr<Library> library_;  ///< null: not there
};

}  // namespace framemill
