#pragma once

#include <cstddef>
#include <string>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/core/policy.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// Cameras that look at one clip, looped, and how the model answers them.
struct RunLoad {
  std::size_t cameras = 1;  ///< >= 1
  double rate_hz = 10;      ///< sampled, of each
  PolicyKind policy = PolicyKind::kFull;
  std::size_t batch = 1;  ///< frames a batch at most
};

/// What a live run of `model` beside such cameras does over `length` after `warm_up`: inferences a
/// second, audits included, and the times of its batches as they came. Where the cameras ask for
/// more than the model can do, what is missing beside its throughput alone is what they cost it.
/// Errors: those of Engine::create(); kUnavailable where nothing was inferred.
[[nodiscard]] Result<RunPoint> measure_run(const ModelSettings& model, const std::string& clip,
                                           const RunLoad& load, Duration warm_up, Duration length,
                                           const Clock& clock);

}  // namespace framemill
