#pragma once

#include <string>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// What a camera that shows `clip` costs beside `model`: a short run of both at pace fast, policy
/// adaptive, ten frames a second sampled and each tenth of them inferred, so that the objects which
/// are carried are those the model finds. In processor time, so that other work on the machine
/// counts little. Errors: those of Engine::create(); kInvalidArgument for a clip without a frame.
[[nodiscard]] Result<CameraCost> measure_camera_cost(const ModelSettings& model,
                                                     const std::string& clip, const Clock& clock);

}  // namespace framemill
