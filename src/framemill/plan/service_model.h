#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/workload.h"
#include "framemill/plan/catalogue.h"
#include "framemill/plan/squishy_packing.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// How well a figure is known. Later is worse.
enum class Confidence {
  kMeasured,   ///< by `bench`, on such a device
  kPublished,  ///< by somebody else, or promised
  kScaled,     ///< from a measured or published figure of another device or size, +-30 %
};
[[nodiscard]] std::string_view to_string(Confidence confidence);

/// A profile and what identifies it.
struct LoadedProfile {
  DeviceProfile profile;
  std::string name;  ///< the file, for messages
  std::string hash;  ///< SHA-256 of its content, hex
};

/// How one device serves one model, by whatever is known best.
struct ModelService {
  std::string model;      ///< as the workload or the profile names it
  std::string precision;  ///< "" where a promise says none
  Size input;
  std::vector<BatchCost> costs;  ///< at `streams`, ascending batches
  double knee_fps = 0;           ///< frames a second at the knee
  std::size_t knee_batch = 1;
  std::size_t streams = 1;             ///< batches in flight (instances)
  bool is_within_slo = false;          ///< the throughput was promised within the SLO: no eta
  std::optional<double> memory_bytes;  ///< of the loaded model
  std::optional<double> power_w;       ///< measured while busy
  Confidence confidence = Confidence::kPublished;
  std::string source;        ///< "profile bench.json", or a title
  std::string profile_hash;  ///< empty where no profile is behind it
};

/// Finds out how `candidate` serves `model` ("": the only one that was profiled). In this order: a
/// promise in the workload file; a profile measured on the device (scaled by cores where the
/// candidate is a CPU with another number of them); a published figure of model and precision; a
/// profile of another device, or a published figure, scaled by figures published for both devices;
/// a CPU profile scaled by cores. Only figures that differ in nothing but the device scale: the
/// same model, precision, input, runtime, scenario and batch, and work of about the same size. What
/// is scaled up serves more at once, none of it sooner. Errors: kNotFound says what to do about it.
[[nodiscard]] Result<ModelService> find_service(const DeviceCandidate& candidate,
                                                std::string_view model, std::string_view precision,
                                                const std::vector<LoadedProfile>& profiles,
                                                const Catalogue& catalogue);

/// The profile that was measured on the candidate, of any model; null where there is none.
[[nodiscard]] const LoadedProfile* find_profile_of(const DeviceCandidate& candidate,
                                                   const std::vector<LoadedProfile>& profiles,
                                                   const Catalogue& catalogue);

/// Whether the profile was measured on all of the processor `entry`: a virtual machine calls itself
/// as the whole does. The catalogue counts physical cores, and profiles those of the system, which
/// may be two threads a core. True where that is not known, and of GPUs.
[[nodiscard]] bool is_whole(const CatalogueDevice& entry, const DeviceProfile& profile);

/// Whether the candidate is called as the profile's device calls itself.
[[nodiscard]] bool is_called_as(const DeviceCandidate& candidate, const DeviceProfile& profile);

/// Cores of one machine of the candidate: given, those of its profile (of the catalogue where the
/// profile is that of a part), those of the catalogue.
[[nodiscard]] std::optional<double> find_cores(const DeviceCandidate& candidate,
                                               const std::vector<LoadedProfile>& profiles,
                                               const Catalogue& catalogue);

/// Whether inference and decoding share the cores of a processor.
[[nodiscard]] bool is_cpu(const DeviceCandidate& candidate,
                          const std::vector<LoadedProfile>& profiles, const Catalogue& catalogue);

}  // namespace framemill
