#include "framemill/base/thread_priority.h"

#include <algorithm>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "framemill/base/check.h"

namespace framemill {

void lower_thread_priority(int nice) {
  CHECK(nice >= 1 && nice <= 19);
  // Linux keeps it by thread, and lets everybody lower what he has.
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));
  const int before = getpriority(PRIO_PROCESS, thread);
  (void)setpriority(PRIO_PROCESS, thread, std::min(before + nice, 19));
}

}  // namespace framemill
