#pragma once

#include <string>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// Reads and decodes every frame of the clip `path`, again and again, for at least `least` of this
/// thread's processor time. Time of the processor, not of the clock, so that other work on the
/// machine counts little. Errors: those of Source::open() and read(); kInvalidArgument for a clip
/// without a frame.
[[nodiscard]] Result<DecodeRate> measure_decode_rate(const std::string& path, Duration least,
                                                     const Clock& clock);

}  // namespace framemill
