#pragma once

#include "framemill/infer/runtime_facts.h"

namespace framemill {

/// Version and devices of OpenVINO; a driver that fails leaves its device out.
[[nodiscard]] RuntimeFacts read_openvino_facts();

/// "2026.4.1"
[[nodiscard]] std::string openvino_version();

}  // namespace framemill
