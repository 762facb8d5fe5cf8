#pragma once

#include "framemill/infer/runtime_facts.h"

namespace framemill {

/// Version and devices of OpenVINO; a driver that fails leaves its device out.
[[nodiscard]] RuntimeFacts read_openvino_facts();

}  // namespace framemill
