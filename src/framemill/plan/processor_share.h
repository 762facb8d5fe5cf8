#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/core/geometry.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// Core seconds of one frame of `codec` and `size`: the measured size nearest to it, in proportion
/// to its pixels. None where no such codec was measured.
[[nodiscard]] std::optional<double> decode_core_s(const std::vector<DecodeRate>& rates,
                                                  std::string_view codec, Size size);

/// Cameras whose frames are read on the processor that the model runs on, too.
struct CamerasBeside {
  double count = 0;
  std::string codec;
  Size size;
  double fps = 0;           ///< delivered, a camera
  double rate_hz = 0;       ///< sampled, a camera
  bool is_carried = false;  ///< policy adaptive: boxes follow each sampled frame
};

/// Cores that `cameras` take from a model on the same processor, by the profile of that processor:
/// decoding and carrying as measured alone, times what the measured loss of the model beside
/// decoded cameras was more than their own processor time (caches, switching threads), and what a
/// run lost besides with each sampled frame. 0 where nothing is known.
[[nodiscard]] double cores_beside(const DeviceProfile& profile,
                                  std::span<const CamerasBeside> cameras);

/// Those of one of the profile's own runs.
[[nodiscard]] CamerasBeside cameras_of(const DeviceProfile& profile, const RunPoint& run);

/// The knee as `run` runs it, with so many cameras decoded beside it; null: not measured.
[[nodiscard]] const ServicePoint* find_run_point(const DeviceProfile& profile,
                                                 std::size_t decoders);

/// Cores that `profile`'s model keeps busy at `in_flight` of the batches that `run` keeps in
/// flight, and those there are. 0: not measured.
struct ModelCores {
  double busy = 0;
  double all = 0;
};
[[nodiscard]] ModelCores model_cores(const DeviceProfile& profile, std::size_t in_flight);

}  // namespace framemill
