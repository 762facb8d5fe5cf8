#pragma once

#include <cstddef>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/core/geometry.h"

namespace framemill {

/// Frames a second of `model` right now, in batches of `batch`, with as many in flight as `run`
/// keeps: what a profile says of that setting, measured again within two seconds, on painted
/// pictures of `size`. Machines drift (clock, heat, neighbours of a virtual one); this tells by how
/// much. Errors: those of Detector::load(); kInternal where a device hangs.
[[nodiscard]] Result<double> measure_model_speed(const ModelSettings& model, Size size,
                                                 std::size_t batch, const Clock& clock);

}  // namespace framemill
