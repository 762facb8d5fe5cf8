#include "framemill/base/file_lock.h"

#include <cerrno>

#include <sys/file.h>
#include <sys/stat.h>

namespace framemill {

bool lock_file(int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) return true;
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

}  // namespace framemill
