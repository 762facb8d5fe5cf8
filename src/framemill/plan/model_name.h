#pragma once

#include <string_view>

namespace framemill {

/// Whether `wanted`, as a workload names a model, is the file `file_name`: case counts nothing, and
/// the extension may be left out. A group that names none ("") takes any.
[[nodiscard]] bool is_model_named(std::string_view wanted, std::string_view file_name);

}  // namespace framemill
