#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace framemill {

/// A camera's name, unique within a run, as configured ("gate-1").
using CameraId = std::string;

/// A camera's place in the run's list of cameras, from 0.
using CameraIndex = std::uint32_t;

/// Whose frames go first when there is not enough capacity.
enum class Priority : std::uint8_t { kCritical, kNormal, kBackground };

[[nodiscard]] constexpr std::string_view to_string(Priority priority) {
  switch (priority) {
    case Priority::kCritical:
      return "critical";
    case Priority::kNormal:
      return "normal";
    case Priority::kBackground:
      return "background";
  }
  return "unknown";
}

}  // namespace framemill
