#pragma once

#include <string>

#include "framemill/cli/doctor_report.h"
#include "framemill/core/geometry.h"

namespace framemill {

/// What a camera of such pictures takes of the machine's memory while it runs: buffers, threads and
/// state, and pictures as plan counts them, which few decoders all keep. With the process and its
/// models that makes what the whole runs in README took: 16.4 MB a camera at 20, 13.1 at 50. Pure.
[[nodiscard]] double camera_memory_bytes(Size size);

/// What the report's cameras and models take beside each other. Cameras whose size is not known
/// count as 1920x1080. Pure.
[[nodiscard]] MemoryNeed estimate_memory(const DoctorReport& report);

/// "cameras 34 MB, models 200 MB, ...", for people. Pure.
[[nodiscard]] std::string describe_memory_need(const MemoryNeed& need);

/// Adds what there is to do where that is more than the machine has, or than is free now.
/// True where it is more than the machine has. Reads `report.memory`. Pure.
bool look_at_memory(DoctorReport& report);

}  // namespace framemill
