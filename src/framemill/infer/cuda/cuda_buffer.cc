#include "framemill/infer/cuda/cuda_buffer.h"

namespace framemill {
namespace {

// CU_MEMHOSTALLOC_PORTABLE (pinned in every context) and _DEVICEMAP. All 64-bit platforms have
// unified addressing, where the device sees such memory at the host's address.
constexpr unsigned kPortable = 1, kDeviceMap = 2;

}  // namespace

Result<bool> CudaBuffer::reserve(std::size_t bytes) {
  if (bytes <= bytes_) return false;
  release();
  if (kind_ == Kind::kDevice) {
    CudaDriver::Address address = 0;
    if (const Result<void> made =
            driver_.check(driver_.memory_alloc(&address, bytes), "memory of the device");
        !made)
      return fail(made.error());
    address_ = address;
  } else {
    void* host = nullptr;
    if (const Result<void> made = driver_.check(
            driver_.host_alloc(&host, bytes, kPortable | kDeviceMap), "pinned memory");
        !made)
      return fail(made.error());
    host_ = static_cast<std::uint8_t*>(host);
    address_ = reinterpret_cast<CudaDriver::Address>(host);
  }
  bytes_ = bytes;
  return true;
}

void CudaBuffer::release() {
  if (bytes_ == 0) return;
  if (kind_ == Kind::kDevice)
    driver_.memory_free(address_);
  else
    driver_.host_free(host_);
  bytes_ = 0;
  address_ = 0;
  host_ = nullptr;
}

}  // namespace framemill
