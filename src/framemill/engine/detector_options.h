#pragma once

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/infer/detector.h"

namespace framemill {

/// How `model` is loaded: what the settings say of it, streams and threads of the engine, and the
/// user's folder for compiled models; of several devices the first. Reads the file of labels.
/// Errors: kNotFound for that file, kInvalidArgument for an unknown head.
[[nodiscard]] Result<DetectorOptions> detector_options(const ModelSettings& model,
                                                       const EngineSettings& engine);

}  // namespace framemill
