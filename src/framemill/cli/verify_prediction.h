#pragma once

#include <array>
#include <cstddef>

#include "framemill/base/clock.h"
#include "framemill/cli/verify_report.h"
#include "framemill/plan/simulated_device.h"

namespace framemill {

/// What is played before the frames that count (models and estimates of service times settle,
/// budgets come to rest), and after them (the last ones are answered).
inline constexpr Duration kPlayedWarmUp = std::chrono::seconds(5);
inline constexpr Duration kPlayedTail = std::chrono::seconds(1);

inline constexpr std::size_t kPriorities = 3;

/// Where in a period the frames of a camera fall.
enum class CameraPhases {
  kKnown,   ///< synthetic cameras start at start_phase()
  kChance,  ///< looped clips: the mean of many draws is predicted
};

/// What `verify` measures when it plays the cameras of `device`, by Priority: frames after warming
/// up, answered or not until the end; sources keep their pace to a fraction of a millisecond.
/// `speed`: of the device, over its profile's.
[[nodiscard]] std::array<LoadFigures, kPriorities> predict_played(SimulatedDevice device,
                                                                  CameraPhases phases,
                                                                  double speed = 1);

}  // namespace framemill
