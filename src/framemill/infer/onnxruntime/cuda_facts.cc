// The functions of CUDA's driver that are used, declared here by its documented binary interface
// (CUDA Driver API reference): neither its header nor its library is needed to build.

#include "framemill/infer/onnxruntime/cuda_facts.h"

#include <array>

#include <dlfcn.h>
#include <fmt/format.h>

#include "framemill/metrics/gpu_meter.h"

namespace framemill {
namespace {

constexpr int kSuccess = 0;
constexpr int kMajor = 75, kMinor = 76;  // of CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_...
constexpr int kNoDevice = 100;           // CUDA_ERROR_NO_DEVICE

template <typename Function>
Function find(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

Failure no_device(std::string why) {
  return fail(ErrorCode::kUnsupported, "no CUDA device: " + std::move(why));
}

}  // namespace

Result<CudaFacts> read_cuda_facts(const std::string& library) {
  void* const handle =
      dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed: it has threads
  if (handle == nullptr) {
    const char* const why = dlerror();
    return no_device(
        fmt::format("NVIDIA's driver is not there ({}); install it, and where this "
                    "runs in a container, hand the devices in",
                    why != nullptr ? why : library));
  }
  const auto init = find<int (*)(unsigned)>(handle, "cuInit");
  const auto driver_version = find<int (*)(int*)>(handle, "cuDriverGetVersion");
  const auto count_devices = find<int (*)(int*)>(handle, "cuDeviceGetCount");
  const auto get_device = find<int (*)(int*, int)>(handle, "cuDeviceGet");
  const auto get_name = find<int (*)(char*, int, int)>(handle, "cuDeviceGetName");
  const auto get_attribute = find<int (*)(int*, int, int)>(handle, "cuDeviceGetAttribute");
  const auto get_memory = find<int (*)(std::size_t*, int)>(handle, "cuDeviceTotalMem_v2");
  if (init == nullptr || driver_version == nullptr || count_devices == nullptr ||
      get_device == nullptr || get_name == nullptr || get_attribute == nullptr ||
      get_memory == nullptr)
    return no_device(fmt::format("{} is not NVIDIA's driver, or too old", library));
  const int status = init(0);
  CudaFacts facts;
  int count = 0;
  if (status == kNoDevice ||
      (status == kSuccess && count_devices(&count) == kSuccess && count == 0))
    return no_device("the driver finds none; see whether nvidia-smi does");
  if (status != kSuccess)
    return no_device(
        fmt::format("the driver does not start (CUDA error {}); see what nvidia-smi "
                    "says, and whether the driver fits the kernel",
                    status));
  if (driver_version(&facts.driver_version) != kSuccess) facts.driver_version = 0;
  facts.driver_release = GpuMeter().read_driver().version;
  for (int i = 0; i < count; ++i) {
    CudaDevice& device = facts.devices.emplace_back();
    int id = 0, major = 0, minor = 0;
    std::array<char, 256> name{};
    std::size_t memory = 0;
    if (get_device(&id, i) != kSuccess) continue;
    if (get_name(name.data(), static_cast<int>(name.size()) - 1, id) == kSuccess)
      device.name = name.data();
    if (get_attribute(&major, kMajor, id) == kSuccess &&
        get_attribute(&minor, kMinor, id) == kSuccess)
      device.compute_capability = 10 * major + minor;
    if (get_memory(&memory, id) == kSuccess) device.memory_bytes = memory;
  }
  return facts;
}

}  // namespace framemill
