#pragma once

#include <string>

#include "framemill/base/result.h"

namespace framemill {

/// Loads a shared library by name or path, and never unloads it: libraries leave threads and exit
/// handlers behind. Any thread. Errors: kFailedPrecondition with the loader's reason.
[[nodiscard]] Result<void*> load_shared_library(const std::string& name);

/// The function `name` of a loaded library; null where it has none of that name. The caller vouches
/// for its type.
[[nodiscard]] void* find_symbol(void* library, const char* name);

}  // namespace framemill
