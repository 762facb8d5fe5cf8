#pragma once

#include "framemill/base/clock.h"

namespace framemill {

/// CPU time that the calling thread has used so far; only differences mean something. About 0.2 us.
[[nodiscard]] Duration thread_cpu_time();

}  // namespace framemill
