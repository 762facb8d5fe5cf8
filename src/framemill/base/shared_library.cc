#include "framemill/base/shared_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace framemill {

Result<void*> load_shared_library(const std::string& name) {
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library != nullptr) return library;
  const char* const why = dlerror();
  return fail(ErrorCode::kFailedPrecondition,
              fmt::format("{}: does not load: {}", name, why != nullptr ? why : "unknown reason"));
}

void* find_symbol(void* library, const char* name) { return dlsym(library, name); }

}  // namespace framemill
