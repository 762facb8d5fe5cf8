#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// How a graphics device stands. What it does not show is none.
struct GpuReading {
  /// "cuda:0": as ONNX Runtime calls it; "nvml:1", counted by NVML: a card that this process does
  /// not see by CUDA.
  std::string device;
  std::string name;                   ///< as the device calls itself
  std::optional<double> utilization;  ///< 0..1, over the driver's own window
  std::optional<std::int64_t> memory_used_bytes;
  std::optional<std::int64_t> memory_total_bytes;
  std::optional<double> temperature_c;
  std::optional<double> power_w;
};

/// The card that a device of ONNX Runtime computes on, as GpuMeter calls it: providers share it
/// ("tensorrt:0", "rtx:0"), and so do instances of one ("cuda:0#2"). Other devices are left as they
/// are called. Pure.
[[nodiscard]] std::string card_of(const std::string& device);

/// The card that `device` computes on, which calls itself `name` there; null where it is not among
/// `cards`. Pure.
[[nodiscard]] const GpuReading* find_card(const std::vector<GpuReading>& cards,
                                          const std::string& device, const std::string& name);

/// NVIDIA's driver. What it does not tell is empty.
struct GpuDriver {
  std::string version;  ///< "580.95.05"
  std::string cuda;     ///< newest CUDA that it serves: "13.0"
};

/// NVIDIA's devices by NVML, which is loaded while the program runs: where it is missing there are
/// no devices, and nothing fails. CUDA counts devices in another order than NVML, and only those
/// that the process may see: once something in the process has loaded its driver, cards are told
/// apart by their ids; an instance of a card (MIG) is one of its own. Before that they are called
/// as if both counted alike. Not thread-safe.
class GpuMeter {
 public:
  /// `library`, `cuda`: others in tests. The latter is never loaded here.
  explicit GpuMeter(const std::string& library = "libnvidia-ml.so.1",
                    std::string cuda = "libcuda.so.1");
  GpuMeter(const GpuMeter&) = delete;
  ~GpuMeter();

  [[nodiscard]] GpuDriver read_driver() const;

  /// By device; empty where there is none. About 1 ms a device.
  [[nodiscard]] std::vector<GpuReading> read();

 private:
  struct Library;
  struct Cuda;
  /// Looks whether CUDA has been loaded since.
  void find_cuda();

  const std::string cuda_name_;
  std::unique_ptr<Library> library_;  ///< null: not there
  std::unique_ptr<Cuda> cuda_;        ///< null: not yet
};

}  // namespace framemill
