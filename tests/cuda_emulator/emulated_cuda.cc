// The part of NVIDIA's driver interface that framemill uses, over the host's memory, with one
// device. Strict where the real one is lenient by luck: without a current context every call fails;
// what is put into a stream happens only when somebody waits for it, so that memory which is reused
// or freed too early gives wrong results or a sanitizer's report; copies outside of allocations of
// the device fail. Kernels are the program's own text, compiled for the host.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};
thread_local Index blockIdx, threadIdx, blockDim;

}  // namespace

#define __global__
#include "framemill/infer/cuda/letterbox_kernel.cu"

namespace {

using Status = int;
using Address = std::uint64_t;
constexpr Status kOk = 0, kInvalidValue = 1, kOutOfMemory = 2, kNoDevice = 100,
                 kInvalidDevice = 101, kInvalidImage = 200, kInvalidContext = 201, kNotFound = 500;

struct Stream {
  std::deque<std::function<Status()>> work;
};

struct Emulator {
  std::mutex mu;
  std::map<Address, std::size_t> device_memory;
  std::map<Address, std::size_t> pinned_memory;
  std::map<void*, Stream> streams;
  std::string failing;
  int failing_status = 0;
  long failing_after = 0;
  bool is_wrong = false;
};

Emulator& emulator() {
  static Emulator& made = *new Emulator;  // outlives whatever ends late
  return made;
}

thread_local std::vector<void*> contexts;
int context_object, module_object, function_object;

/// What is to fail is told by emulated_cuda_fail(). The lock is held.
Status told_to_fail(const char* name) {
  Emulator& e = emulator();
  return e.failing == name && e.failing_after-- <= 0 ? e.failing_status : kOk;
}

/// The same, of what needs a context.
Status begin(const char* name) {
  if (const Status status = told_to_fail(name); status != kOk) return status;
  return contexts.empty() ? kInvalidContext : kOk;
}

bool lies_in(const std::map<Address, std::size_t>& memory, Address at, std::size_t bytes) {
  auto found = memory.upper_bound(at);
  if (found == memory.begin()) return false;
  --found;
  return at >= found->first && at + bytes <= found->first + found->second;
}

bool is_known(Address at, std::size_t bytes) {
  return lies_in(emulator().device_memory, at, bytes) ||
         lies_in(emulator().pinned_memory, at, bytes);
}

Status run_letterbox(const framemill::LetterboxItem* items, framemill::LetterboxTensor tensor,
                     Index grid, Index block) {
  blockDim = block;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x)
        for (threadIdx.y = 0; threadIdx.y < block.y; ++threadIdx.y)
          for (threadIdx.x = 0; threadIdx.x < block.x; ++threadIdx.x)
            framemill_letterbox(items, tensor);
  if (emulator().is_wrong) {
    auto* const first = static_cast<unsigned char*>(tensor.data);
    first[1] = static_cast<unsigned char>(first[1] ^ 0x40);
  }
  return kOk;
}

}  // namespace

extern "C" {

// ---- for tests

/// From the (after + 1)th call on `function` gives `status`; an empty name ends that.
void emulated_cuda_fail(const char* function, int status, long after) {
  const std::lock_guard lock(emulator().mu);
  emulator().failing = function;
  emulator().failing_status = status;
  emulator().failing_after = after;
}
/// Whether kernels write a wrong value.
void emulated_cuda_be_wrong(int is_wrong) { emulator().is_wrong = is_wrong != 0; }
/// Allocations and streams that were not given back.
long emulated_cuda_leaks() {
  const std::lock_guard lock(emulator().mu);
  const Emulator& e = emulator();
  return static_cast<long>(e.device_memory.size() + e.pinned_memory.size() + e.streams.size());
}

// ---- the driver

Status cuInit(unsigned) {
  const char* const devices = std::getenv("EMULATED_CUDA_DEVICES");
  return devices != nullptr && std::string(devices) == "0" ? kNoDevice : kOk;
}
Status cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return ordinal == 0 ? kOk : kInvalidDevice;
}
Status cuDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == 75 ? 9 : 0;
  return attribute == 75 || attribute == 76 ? kOk : kInvalidValue;
}
Status cuDevicePrimaryCtxSetFlags_v2(int, unsigned) {
  const std::lock_guard lock(emulator().mu);
  return told_to_fail("cuDevicePrimaryCtxSetFlags_v2");
}

Status cuDevicePrimaryCtxRetain(void** context, int) {
  *context = &context_object;
  return kOk;
}
Status cuCtxPushCurrent_v2(void* context) {
  if (context != &context_object) return kInvalidContext;
  contexts.push_back(context);
  return kOk;
}
Status cuCtxPopCurrent_v2(void** context) {
  if (contexts.empty()) return kInvalidContext;
  *context = contexts.back();
  contexts.pop_back();
  return kOk;
}
Status cuModuleLoadData(void** module, const void* image) {
  const std::lock_guard lock(emulator().mu);
  if (const Status status = begin("cuModuleLoadData"); status != kOk) return status;
  const bool is_code =
      std::memcmp(image, "EMULATED sm_90", 15) == 0 || std::memcmp(image, "\177ELF", 4) == 0;
  *module = &module_object;
  return is_code ? kOk : kInvalidImage;
}
Status cuModuleGetFunction(void** function, void* module, const char* name) {
  const std::lock_guard lock(emulator().mu);
  *function = &function_object;
  if (module != &module_object || std::strcmp(name, "framemill_letterbox") != 0) return kNotFound;
  return begin("cuModuleGetFunction");
}
Status cuMemAlloc_v2(Address* address, std::size_t bytes) {
  const std::lock_guard lock(emulator().mu);
  if (const Status status = begin("cuMemAlloc_v2"); status != kOk) return status;
  void* const memory = std::malloc(bytes);
  if (memory == nullptr || bytes == 0) return kOutOfMemory;
  std::memset(memory, 0xA5, bytes);
  *address = reinterpret_cast<Address>(memory);
  emulator().device_memory[*address] = bytes;
  return kOk;
}
Status cuMemFree_v2(Address address) {
  const std::lock_guard lock(emulator().mu);
  if (const Status status = begin("cuMemFree_v2"); status != kOk) return status;
  if (emulator().device_memory.erase(address) == 0) return kInvalidValue;
  std::free(reinterpret_cast<void*>(address));
  return kOk;
}
Status cuMemHostAlloc(void** memory, std::size_t bytes, unsigned) {
  const std::lock_guard lock(emulator().mu);
  if (const Status status = begin("cuMemHostAlloc"); status != kOk) return status;
  *memory = std::malloc(bytes);
  if (*memory == nullptr || bytes == 0) return kOutOfMemory;
  std::memset(*memory, 0xA5, bytes);
  emulator().pinned_memory[reinterpret_cast<Address>(*memory)] = bytes;
  return kOk;
}
Status cuMemFreeHost(void* memory) {
  const std::lock_guard lock(emulator().mu);
  if (const Status status = begin("cuMemFreeHost"); status != kOk) return status;
  if (emulator().pinned_memory.erase(reinterpret_cast<Address>(memory)) == 0) return kInvalidValue;
  std::free(memory);
  return kOk;
}
Status cuStreamCreate(void** stream, unsigned) {
  const std::lock_guard lock(emulator().mu);
  if (const Status status = begin("cuStreamCreate"); status != kOk) return status;
  *stream = std::malloc(1);
  emulator().streams[*stream];
  return kOk;
}
Status cuStreamDestroy_v2(void* stream) {
  const std::lock_guard lock(emulator().mu);
  if (const Status status = begin("cuStreamDestroy_v2"); status != kOk) return status;
  if (emulator().streams.erase(stream) == 0) return kInvalidValue;
  std::free(stream);
  return kOk;
}
Status cuStreamSynchronize(void* stream) {
  std::deque<std::function<Status()>> work;
  {
    const std::lock_guard lock(emulator().mu);
    if (const Status status = begin("cuStreamSynchronize"); status != kOk) return status;
    const auto found = emulator().streams.find(stream);
    if (found == emulator().streams.end()) return kInvalidValue;
    work.swap(found->second.work);
  }
  Status worst = kOk;
  for (const auto& step : work)
    if (const Status status = step(); status != kOk) worst = status;
  return worst;
}
Status cuMemcpyAsync(Address to, Address from, std::size_t bytes, void* stream) {
  const std::lock_guard lock(emulator().mu);
  if (const Status status = begin("cuMemcpyAsync"); status != kOk) return status;
  const auto found = emulator().streams.find(stream);
  // One side at least is the driver's; the other one may be any memory of the host.
  if (found == emulator().streams.end() || (!is_known(to, bytes) && !is_known(from, bytes)))
    return kInvalidValue;
  found->second.work.emplace_back([to, from, bytes] {
    std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
    return kOk;
  });
  return kOk;
}
Status cuMemsetD8Async(Address to, unsigned char value, std::size_t bytes, void* stream) {
  const std::lock_guard lock(emulator().mu);
  if (const Status status = begin("cuMemsetD8Async"); status != kOk) return status;
  const auto found = emulator().streams.find(stream);
  if (found == emulator().streams.end() || !is_known(to, bytes)) return kInvalidValue;
  found->second.work.emplace_back([to, value, bytes] {
    std::memset(reinterpret_cast<void*>(to), value, bytes);
    return kOk;
  });
  return kOk;
}
Status cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                      unsigned block_x, unsigned block_y, unsigned block_z, unsigned, void* stream,
                      void** parameters, void** extra) {
  const std::lock_guard lock(emulator().mu);
  if (const Status status = begin("cuLaunchKernel"); status != kOk) return status;
  const auto found = emulator().streams.find(stream);
  if (function != &function_object || found == emulator().streams.end() || extra != nullptr ||
      block_z != 1 || block_x * block_y > 1024)
    return kInvalidValue;
  // The driver reads the parameters now and runs the kernel later.
  const framemill::LetterboxItem* items = nullptr;
  framemill::LetterboxTensor tensor;
  std::memcpy(&items, parameters[0], sizeof(items));
  std::memcpy(&tensor, parameters[1], sizeof(tensor));
  if (!is_known(reinterpret_cast<Address>(items), grid_z * sizeof(*items))) return kInvalidValue;
  found->second.work.emplace_back([=] {
    return run_letterbox(items, tensor, {grid_x, grid_y, grid_z}, {block_x, block_y, 1});
  });
  return kOk;
}
Status cuGetErrorString(Status status, const char** text) {
  *text = status == kOutOfMemory ? "out of memory" : "emulated error";
  return kOk;
}

}  // extern "C"
