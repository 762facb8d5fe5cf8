#pragma once

#include <cstddef>
#include <string>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/core/policy.h"

namespace framemill {

/// Cameras that look at one clip, looped.
struct RunLoad {
  std::size_t cameras = 1;  ///< >= 1
  double rate_hz = 10;      ///< sampled, of each
  PolicyKind policy = PolicyKind::kFull;
};

/// Inferences a second, audits included, of a whole live run of `model` beside such cameras, over
/// `length` after `warm_up`. Where they ask for more than the model can do, what is missing beside
/// its throughput alone is what the cameras cost it.
/// Errors: those of Engine::create(); kUnavailable where nothing was inferred.
[[nodiscard]] Result<double> measure_run_throughput(const ModelSettings& model,
                                                    const std::string& clip, const RunLoad& load,
                                                    Duration warm_up, Duration length,
                                                    const Clock& clock);

}  // namespace framemill
