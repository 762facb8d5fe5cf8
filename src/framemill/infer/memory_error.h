#pragma once

#include <string_view>

namespace framemill {

/// Whether a runtime's message says that memory ran out, on a device or the host: runtimes tell it
/// by words alone. Pure.
[[nodiscard]] bool is_out_of_memory(std::string_view message);

}  // namespace framemill
