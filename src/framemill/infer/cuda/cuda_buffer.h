#pragma once

#include <cstddef>
#include <cstdint>

#include "framemill/base/result.h"
#include "framemill/infer/cuda/cuda_driver.h"

namespace framemill {

/// Memory that a device sees; grows and is reused. The driver outlives it, its context is current
/// in every call and at the end, and nothing of it is in use then. Not thread-safe.
class CudaBuffer {
 public:
  enum class Kind {
    kDevice,  ///< the device's own
    kPinned,  ///< the host's, from and to which the device copies by itself; it may also read and
              ///< write it at the same address
  };
  CudaBuffer(const CudaDriver& driver, Kind kind) : driver_(driver), kind_(kind) {}
  ~CudaBuffer() { release(); }
  CudaBuffer(const CudaBuffer&) = delete;
  CudaBuffer& operator=(const CudaBuffer&) = delete;

  /// At least so many bytes; their content is lost where it has to grow. True where it grew.
  /// Errors: kResourceExhausted, and the buffer is then empty.
  Result<bool> reserve(std::size_t bytes);

  /// Gives the memory back.
  void release();

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// As the device sees it.
  [[nodiscard]] CudaDriver::Address address() const { return address_; }
  [[nodiscard]] std::uint8_t* device_pointer() const {
    return reinterpret_cast<std::uint8_t*>(address_);
  }
  /// kPinned only.
  [[nodiscard]] std::uint8_t* host() const { return host_; }

 private:
  const CudaDriver& driver_;
  const Kind kind_;
  std::size_t bytes_ = 0;
  CudaDriver::Address address_ = 0;
  std::uint8_t* host_ = nullptr;
};

}  // namespace framemill
