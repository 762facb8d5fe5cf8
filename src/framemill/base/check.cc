#include "framemill/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace framemill {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s. This is a bug in framemill; please report it.\n",
               file, line, condition);
  std::abort();
}

}  // namespace framemill
