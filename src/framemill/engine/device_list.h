#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/engine/device_pool.h"
#include "framemill/infer/detector.h"

namespace framemill {

/// On how many devices the settings want a model; at least 1.
[[nodiscard]] std::size_t device_count(const ModelSettings& model);

/// Collects the devices of a run while its models are loaded, one after the other: a device that
/// several models name is one, and one that a model names twice is two ("CPU" and "CPU#2"), which
/// share the cores. Not thread-safe.
class DeviceList {
 public:
  /// Loads the next model on each of its devices; `options` are those of its settings, but for the
  /// device. Errors: those of Detector::load(); kInvalidArgument for more than kDevicesMax devices.
  Result<void> load_model(const ModelSettings& model, const EngineSettings& engine,
                          const DetectorOptions& options);
  /// The next model, loaded elsewhere.
  void add_model(std::span<const std::shared_ptr<const Detector>> on_devices);

  /// On the first of its devices.
  [[nodiscard]] const Detector& model(std::size_t index) const;
  /// Loads models again as they were; after the last one. Independent of this. Errors:
  /// kFailedPrecondition where the file holds another model by now: answers of both would be mixed.
  [[nodiscard]] DevicePool::Load loader() const;
  [[nodiscard]] std::vector<PooledDevice> take();

 private:
  /// Its place in devices_, for the `repeat`th time that one model names it.
  std::size_t place_of(const std::string& device, std::size_t repeat);

  struct Loaded {
    std::size_t device = 0, model = 0;
    DetectorOptions options;
    std::string hash;  ///< of its file, then
  };
  std::vector<PooledDevice> devices_;
  std::vector<std::size_t> first_;  ///< device, by model
  std::vector<Loaded> loaded_;
};

}  // namespace framemill
