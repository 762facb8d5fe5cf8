#include "framemill/base/thread_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "framemill/base/check.h"

namespace framemill {

void lower_thread_priority(int nice) {
  CHECK(nice >= 1 && nice <= 19);
  // Linux keeps it by thread. What may fail of it is only to ask for more than one has.
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), nice);
}

}  // namespace framemill
