#include "framemill/engine/device_list.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "framemill/base/check.h"
#include "framemill/infer/cpu_quota.h"
#include "framemill/infer/labels.h"
#include "framemill/infer/model_files.h"

namespace framemill {
namespace {

std::vector<std::string> devices_of(const ModelSettings& model) {
  return model.device_list.empty() ? std::vector{model.device} : model.device_list;
}

}  // namespace

std::size_t device_count(const ModelSettings& model) { return devices_of(model).size(); }

std::size_t DeviceList::place_of(const std::string& device, std::size_t repeat) {
  const std::string name = repeat > 0 ? fmt::format("{}#{}", device, repeat + 1) : device;
  const auto found = std::ranges::find(devices_, name, &PooledDevice::name);
  if (found != devices_.end()) return static_cast<std::size_t>(found - devices_.begin());
  devices_.push_back({name, {}});
  return devices_.size() - 1;
}

void DeviceList::add_model(std::span<const std::shared_ptr<const Detector>> on_devices) {
  CHECK(!on_devices.empty());
  std::map<std::string, std::size_t> repeats;
  const std::size_t model = first_.size();
  for (std::size_t i = 0; i < on_devices.size(); ++i) {
    const std::string& device = on_devices[i]->facts().device;
    const std::size_t place = place_of(device, repeats[device]++);
    devices_[place].detectors.resize(model + 1);
    devices_[place].detectors[model] = on_devices[i];
    if (i == 0) first_.push_back(place);
  }
}

Result<void> DeviceList::load_model(const ModelSettings& model, const EngineSettings& engine,
                                    const DetectorOptions& options) {
  const std::vector<std::string> wanted = devices_of(model);
  std::vector<std::shared_ptr<const Detector>> detectors;
  std::vector<DetectorOptions> loaded;
  for (const std::string& device : wanted) {
    DetectorOptions own = options;
    own.backend.device = device;
    // What is twice on a processor has half of its cores each time.
    const auto times = static_cast<std::size_t>(std::ranges::count(wanted, device));
    if (times > 1) {
      const std::size_t cores = engine.threads > 0 ? engine.threads : usable_core_count();
      own.backend.threads = std::max<std::size_t>(1, cores / times);
    }
    Result<std::unique_ptr<Detector>> detector = Detector::load(own);
    if (!detector) return fail(detector.error());
    const ModelFacts& facts = (*detector)->facts();
    const std::vector<std::string>& labels = (*detector)->labels();
    spdlog::info("model {}: {} on {} ({}), {} {}, head {}", model.name, facts.name, facts.device,
                 facts.runtime, labels.size(),
                 has_no_names(labels) ? "classes without names (`labels` gives them)" : "labels",
                 to_string((*detector)->head_kind()));
    if (facts.letterbox != "host") {
      spdlog::info("model {}: pictures are letterboxed on {}", model.name, facts.letterbox);
    }
    if (!facts.letterbox_note.empty()) {
      spdlog::warn("model {}: pictures are letterboxed on the host: {}", model.name,
                   facts.letterbox_note);
    }
    detectors.push_back(std::move(*detector));
    loaded.push_back(std::move(own));
  }
  add_model(detectors);
  if (devices_.size() > kDevicesMax) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("more than {} devices are named by the models", kDevicesMax));
  }
  std::map<std::string, std::size_t> repeats;
  for (std::size_t i = 0; i < loaded.size(); ++i) {
    const std::string& device = detectors[i]->facts().device;
    loaded_.push_back({.device = place_of(device, repeats[device]++),
                       .model = first_.size() - 1,
                       .options = loaded[i],
                       .hash = detectors[i]->facts().hash});
  }
  return {};
}

const Detector& DeviceList::model(std::size_t index) const {
  return *devices_[first_[index]].detectors[index];
}

DevicePool::Load DeviceList::loader() const {
  return [loaded = loaded_](DeviceIndex device,
                            std::size_t model) -> Result<std::shared_ptr<const Detector>> {
    for (const Loaded& entry : loaded) {
      if (entry.device != device || entry.model != model) continue;
      Result<std::unique_ptr<Detector>> detector = Detector::load(entry.options);
      if (!detector) return fail(detector.error());
      const ModelFacts& facts = (*detector)->facts();
      if (const Result<void> same = check_same_model(facts.hash, entry.hash); !same)
        return fail(same.error().at(facts.path));
      return std::shared_ptr<const Detector>(std::move(*detector));
    }
    return fail(ErrorCode::kNotFound, fmt::format("model {} is not on device {}", model, device));
  };
}

std::vector<PooledDevice> DeviceList::take() {
  for (PooledDevice& device : devices_) device.detectors.resize(first_.size());
  return std::move(devices_);
}

}  // namespace framemill
