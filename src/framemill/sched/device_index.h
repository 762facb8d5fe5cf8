#pragma once

#include <cstddef>
#include <cstdint>

namespace framemill {

/// One of the devices behind a scheduler, from 0. A device that is named twice is two.
using DeviceIndex = std::uint32_t;

/// Which devices, as bits.
using DeviceSet = std::uint64_t;
inline constexpr DeviceSet kAllDevices = ~DeviceSet{0};
inline constexpr std::size_t kDevicesMax = 64;

[[nodiscard]] inline bool has_device(DeviceSet set, DeviceIndex device) {
  return (set >> device & 1) != 0;
}

}  // namespace framemill
