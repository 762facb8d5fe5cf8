#pragma once

#include <string_view>

namespace framemill {

/// data/openapi.yaml, part of the binary.
[[nodiscard]] std::string_view openapi_text();

}  // namespace framemill
