// The functions of NVML that are used, declared here by its documented binary interface (NVIDIA
// Management Library reference): neither its header nor its library is needed to build.

#include "framemill/metrics/gpu_meter.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <dlfcn.h>
#include <fmt/format.h>

namespace framemill {
namespace {

using Device = void*;
constexpr int kSuccess = 0;
constexpr unsigned kTemperatureOfGpu = 0;

struct Utilization {
  unsigned gpu = 0, memory = 0;  ///< percent
};
struct Memory {
  unsigned long long total = 0, free = 0, used = 0;  ///< bytes
};

template <typename Function>
Function find(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

}  // namespace

std::string card_of(const std::string& device) {
  const std::string name = device.substr(0, device.find('#'));
  for (const std::string_view provider : {"cuda:", "tensorrt:", "rtx:"})
    if (name.starts_with(provider)) return "cuda:" + name.substr(provider.size());
  return name;
}

const GpuReading* find_card(const std::vector<GpuReading>& cards, const std::string& device,
                            const std::string& name, const char* visible) {
  const std::string card = card_of(device);
  if (!card.starts_with("cuda:")) return nullptr;
  const auto count = std::ranges::count(cards, name, &GpuReading::name);
  if (count > 1 && visible != nullptr) return nullptr;
  const auto found = std::ranges::find_if(cards, [&](const GpuReading& one) {
    return one.name == name && (count == 1 || one.device == card);
  });
  return found == cards.end() ? nullptr : &*found;
}

struct GpuMeter::Library {
  void* handle = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*device)(unsigned, Device*) = nullptr;
  int (*name)(Device, char*, unsigned) = nullptr;
  int (*utilization)(Device, Utilization*) = nullptr;
  int (*memory)(Device, Memory*) = nullptr;
  int (*temperature)(Device, unsigned, unsigned*) = nullptr;
  int (*power)(Device, unsigned*) = nullptr;
  int (*driver_version)(char*, unsigned) = nullptr;
  int (*cuda_version)(int*) = nullptr;

  ~Library() {
    if (shutdown != nullptr && is_ready) shutdown();
    if (handle != nullptr) dlclose(handle);
  }
  bool is_ready = false;
};

GpuMeter::GpuMeter(const std::string& library) {
  auto loaded = std::make_unique<Library>();
  loaded->handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded->handle == nullptr) return;
  void* const handle = loaded->handle;
  loaded->init = find<int (*)()>(handle, "nvmlInit_v2");
  loaded->shutdown = find<int (*)()>(handle, "nvmlShutdown");
  loaded->count = find<int (*)(unsigned*)>(handle, "nvmlDeviceGetCount_v2");
  loaded->device = find<int (*)(unsigned, Device*)>(handle, "nvmlDeviceGetHandleByIndex_v2");
  loaded->name = find<int (*)(Device, char*, unsigned)>(handle, "nvmlDeviceGetName");
  loaded->utilization =
      find<int (*)(Device, Utilization*)>(handle, "nvmlDeviceGetUtilizationRates");
  loaded->memory = find<int (*)(Device, Memory*)>(handle, "nvmlDeviceGetMemoryInfo");
  loaded->temperature =
      find<int (*)(Device, unsigned, unsigned*)>(handle, "nvmlDeviceGetTemperature");
  loaded->power = find<int (*)(Device, unsigned*)>(handle, "nvmlDeviceGetPowerUsage");
  loaded->driver_version = find<int (*)(char*, unsigned)>(handle, "nvmlSystemGetDriverVersion");
  loaded->cuda_version = find<int (*)(int*)>(handle, "nvmlSystemGetCudaDriverVersion_v2");
  if (loaded->init == nullptr || loaded->count == nullptr || loaded->device == nullptr) return;
  if (loaded->init() != kSuccess) return;  // a library without a driver
  loaded->is_ready = true;
  library_ = std::move(loaded);
}

GpuMeter::~GpuMeter() = default;

std::vector<GpuReading> GpuMeter::read() {
  std::vector<GpuReading> readings;
  unsigned count = 0;
  if (library_ == nullptr || library_->count(&count) != kSuccess) return readings;
  for (unsigned i = 0; i < count; ++i) {
    Device device = nullptr;
    if (library_->device(i, &device) != kSuccess) continue;
    GpuReading& reading = readings.emplace_back();
    reading.device = fmt::format("cuda:{}", i);
    std::array<char, 97> name{};  // the longest that NVML gives, and the end
    if (library_->name != nullptr &&
        library_->name(device, name.data(), name.size() - 1) == kSuccess) {
      reading.name = name.data();
    }
    Utilization utilization;
    if (library_->utilization != nullptr &&
        library_->utilization(device, &utilization) == kSuccess) {
      reading.utilization = utilization.gpu / 100.0;
    }
    Memory memory;
    if (library_->memory != nullptr && library_->memory(device, &memory) == kSuccess) {
      reading.memory_used_bytes = static_cast<std::int64_t>(memory.used);
      reading.memory_total_bytes = static_cast<std::int64_t>(memory.total);
    }
    unsigned value = 0;
    if (library_->temperature != nullptr &&
        library_->temperature(device, kTemperatureOfGpu, &value) == kSuccess) {
      reading.temperature_c = value;
    }
    if (library_->power != nullptr && library_->power(device, &value) == kSuccess) {
      reading.power_w = value / 1000.0;
    }
  }
  return readings;
}

GpuDriver GpuMeter::read_driver() {
  GpuDriver driver;
  if (library_ == nullptr) return driver;
  std::array<char, 81> version{};  // the longest that NVML gives, and the end
  if (library_->driver_version != nullptr &&
      library_->driver_version(version.data(), version.size() - 1) == kSuccess) {
    driver.version = version.data();
  }
  int cuda = 0;
  if (library_->cuda_version != nullptr && library_->cuda_version(&cuda) == kSuccess)
    driver.cuda = fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10);
  return driver;
}

}  // namespace framemill
