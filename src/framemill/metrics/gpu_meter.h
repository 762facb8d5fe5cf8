#pragma once

#include <cstdint>
#include <cstdlib>
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

/// NVIDIA's driver. What it does not tell is empty.
struct GpuDriver {
  std::string version;  ///< "580.65.06"
  std::string cuda;     ///< newest CUDA that it serves: "13.0"
};

/// The card that a device of ONNX Runtime computes on, as GpuReading::device calls it: providers
/// share it ("tensorrt:0", "rtx:0"), and so do instances of one ("cuda:0#2"). Other devices are
/// theirs alone and stay as they are. Pure.
[[nodiscard]] std::string card_of(const std::string& device);

/// The card that `device` computes on, which calls itself `name` there; null where it is not among
/// `cards`, or cannot be told from others. CUDA need not count as NVML does: it may begin with the
/// fastest, and counts only what CUDA_VISIBLE_DEVICES (`visible`, null: not set) leaves it. So the
/// name decides, and the number only between cards of one name. A part of a card (MIG) has a name
/// of its own and is none of them. Pure.
[[nodiscard]] const GpuReading* find_card(
    const std::vector<GpuReading>& cards, const std::string& device, const std::string& name,
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES"));

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
  /// Empty where there is none.
  [[nodiscard]] GpuDriver read_driver();

 private:
  struct Library;
  std::unique_ptr<Library> library_;  ///< null: not there
};

}  // namespace framemill
