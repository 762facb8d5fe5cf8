#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/config/workload.h"

namespace framemill {

/// What the cameras of a workload are played from.
struct LoadSource {
  std::string models_dir = ".";    ///< where the models that the workload names lie
  std::vector<std::string> clips;  ///< looped, in turn; empty: the synthetic source
  Duration run_for{0};
  std::uint32_t seed = 1;  ///< of the offsets in the clips
};

/// A workload as cameras on this machine.
struct LoadPlan {
  RunSettings settings;
  std::vector<std::size_t> group_of_camera;  ///< by camera, index into Workload::cameras
};

/// The cameras that a machine could ever play; more are refused.
inline constexpr std::int64_t kPlayedCamerasMax = 2000;

/// Turns groups of cameras into cameras that the engine can run here: looped clips from offsets
/// drawn by the seed, or synthetic pictures of the group's size and rate, which cost no decoding.
/// Policies are those that are simulated, see policy_of().
/// The engine knows one budget over all adaptive cameras, and one of hold: the share that the
/// groups' duties come to; groups of one policy that ask for different shares are refused.
/// Errors: kInvalidArgument, with the group's name and what to do.
[[nodiscard]] Result<LoadPlan> plan_load(const Workload& workload, const LoadSource& source);

}  // namespace framemill
