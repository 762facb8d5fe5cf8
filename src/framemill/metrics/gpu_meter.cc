// The functions of NVML and of CUDA's driver that are used, declared here by their documented
// binary interfaces (NVIDIA Management Library reference, CUDA Driver API reference): neither
// headers nor libraries of theirs are needed to build.

#include "framemill/metrics/gpu_meter.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

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
                            const std::string& name) {
  const std::string card = card_of(device);
  const auto found = std::ranges::find(cards, card, &GpuReading::device);
  const bool is_it = card.starts_with("cuda:") && found != cards.end() && found->name == name;
  return is_it ? &*found : nullptr;
}

struct GpuMeter::Library {
  void* handle = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*driver_version)(char*, unsigned) = nullptr;
  int (*cuda_version)(int*) = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*device)(unsigned, Device*) = nullptr;
  int (*device_of_uuid)(const char*, Device*) = nullptr;
  int (*device_of_pci)(const char*, Device*) = nullptr;
  int (*name)(Device, char*, unsigned) = nullptr;
  int (*utilization)(Device, Utilization*) = nullptr;
  int (*memory)(Device, Memory*) = nullptr;
  int (*temperature)(Device, unsigned, unsigned*) = nullptr;
  int (*power)(Device, unsigned*) = nullptr;

  ~Library() {
    if (shutdown != nullptr && is_ready) shutdown();
    if (handle != nullptr) dlclose(handle);
  }
  [[nodiscard]] GpuReading read(Device of, std::string called) const;
  bool is_ready = false;
};

/// CUDA's driver, which somebody else has loaded.
struct GpuMeter::Cuda {
  using Uuid = std::array<unsigned char, 16>;
  int (*count)(int*) = nullptr;
  int (*device)(int*, int) = nullptr;
  int (*uuid)(Uuid*, int) = nullptr;
  int (*pci)(char*, int, int) = nullptr;

  /// NVML's handle of CUDA's device `index`; null: it has none.
  [[nodiscard]] Device find(int index, const Library& nvml) const;
};

namespace {

/// As NVML writes it after "GPU-" or "MIG-".
std::string to_text(const std::array<unsigned char, 16>& uuid) {
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", uuid[i]);
  }
  return text;
}

}  // namespace

Device GpuMeter::Cuda::find(int index, const Library& nvml) const {
  int id = 0;
  Device found = nullptr;
  if (device(&id, index) != kSuccess) return nullptr;
  Uuid bytes{};
  if (uuid != nullptr && nvml.device_of_uuid != nullptr && uuid(&bytes, id) == kSuccess) {
    // An instance of a card has the card's address, but an id of its own.
    for (const char* const kind : {"GPU-", "MIG-"})
      if (nvml.device_of_uuid((kind + to_text(bytes)).c_str(), &found) == kSuccess) return found;
  }
  std::array<char, 32> address{};
  if (pci != nullptr && nvml.device_of_pci != nullptr &&
      pci(address.data(), static_cast<int>(address.size()) - 1, id) == kSuccess &&
      nvml.device_of_pci(address.data(), &found) == kSuccess)
    return found;
  return nullptr;
}

GpuMeter::GpuMeter(const std::string& library, std::string cuda) : cuda_name_(std::move(cuda)) {
  auto loaded = std::make_unique<Library>();
  loaded->handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded->handle == nullptr) return;
  void* const handle = loaded->handle;
  const auto need = [handle](const char* name, auto& function) {
    function = find<std::remove_reference_t<decltype(function)>>(handle, name);
  };
  need("nvmlInit_v2", loaded->init);
  need("nvmlShutdown", loaded->shutdown);
  need("nvmlSystemGetDriverVersion", loaded->driver_version);
  need("nvmlSystemGetCudaDriverVersion_v2", loaded->cuda_version);
  need("nvmlDeviceGetCount_v2", loaded->count);
  need("nvmlDeviceGetHandleByIndex_v2", loaded->device);
  need("nvmlDeviceGetHandleByUUID", loaded->device_of_uuid);
  need("nvmlDeviceGetHandleByPciBusId_v2", loaded->device_of_pci);
  need("nvmlDeviceGetName", loaded->name);
  need("nvmlDeviceGetUtilizationRates", loaded->utilization);
  need("nvmlDeviceGetMemoryInfo", loaded->memory);
  need("nvmlDeviceGetTemperature", loaded->temperature);
  need("nvmlDeviceGetPowerUsage", loaded->power);
  if (loaded->init == nullptr || loaded->count == nullptr || loaded->device == nullptr) return;
  if (loaded->init() != kSuccess) return;  // a library without a driver
  loaded->is_ready = true;
  library_ = std::move(loaded);
}

GpuMeter::~GpuMeter() = default;

GpuDriver GpuMeter::read_driver() const {
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

void GpuMeter::find_cuda() {
  if (cuda_ != nullptr) return;
  // Who uses no GPU does not start its driver.
  void* const handle = dlopen(cuda_name_.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
  if (handle == nullptr) return;
  auto cuda = std::make_unique<Cuda>();
  const auto init = find<int (*)(unsigned)>(handle, "cuInit");
  cuda->count = find<int (*)(int*)>(handle, "cuDeviceGetCount");
  cuda->device = find<int (*)(int*, int)>(handle, "cuDeviceGet");
  cuda->uuid = find<int (*)(Cuda::Uuid*, int)>(handle, "cuDeviceGetUuid_v2");
  cuda->pci = find<int (*)(char*, int, int)>(handle, "cuDeviceGetPCIBusId");
  const bool is_driver = init != nullptr && cuda->count != nullptr && cuda->device != nullptr;
  if (is_driver && init(0) == kSuccess) cuda_ = std::move(cuda);
}

GpuReading GpuMeter::Library::read(Device of, std::string called) const {
  GpuReading reading{.device = std::move(called)};
  std::array<char, 97> text{};  // the longest that NVML gives, and the end
  if (name != nullptr && name(of, text.data(), text.size() - 1) == kSuccess)
    reading.name = text.data();
  Utilization rates;
  if (utilization != nullptr && utilization(of, &rates) == kSuccess)
    reading.utilization = rates.gpu / 100.0;
  Memory bytes;
  if (memory != nullptr && memory(of, &bytes) == kSuccess) {
    reading.memory_used_bytes = static_cast<std::int64_t>(bytes.used);
    reading.memory_total_bytes = static_cast<std::int64_t>(bytes.total);
  }
  unsigned value = 0;
  if (temperature != nullptr && temperature(of, kTemperatureOfGpu, &value) == kSuccess)
    reading.temperature_c = value;
  if (power != nullptr && power(of, &value) == kSuccess) reading.power_w = value / 1000.0;
  return reading;
}

std::vector<GpuReading> GpuMeter::read() {
  std::vector<GpuReading> readings;
  unsigned count = 0;
  if (library_ == nullptr || library_->count(&count) != kSuccess) return readings;
  find_cuda();
  std::vector<Device> seen;
  int seen_by_cuda = 0;
  if (cuda_ != nullptr && cuda_->count(&seen_by_cuda) != kSuccess) seen_by_cuda = 0;
  for (int i = 0; i < seen_by_cuda; ++i) {
    const Device device = cuda_->find(i, *library_);
    if (device == nullptr) continue;
    seen.push_back(device);
    readings.push_back(library_->read(device, fmt::format("cuda:{}", i)));
  }
  for (unsigned i = 0; i < count; ++i) {
    Device device = nullptr;
    if (library_->device(i, &device) != kSuccess || std::ranges::find(seen, device) != seen.end())
      continue;
    readings.push_back(
        library_->read(device, fmt::format("{}:{}", cuda_ == nullptr ? "cuda" : "nvml", i)));
  }
  return readings;
}

}  // namespace framemill
