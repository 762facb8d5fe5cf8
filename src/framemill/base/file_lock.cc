#include "framemill/base/file_lock.h"

#include <cerrno>

#include <sys/file.h>
#include <sys/stat.h>

namespace framemill {

FileLock try_lock_file(int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) return FileLock::kUnknown;
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return FileLock::kOurs;
  return errno == EWOULDBLOCK ? FileLock::kOfAnother : FileLock::kUnknown;
}

bool lock_file(int fd) { return try_lock_file(fd) != FileLock::kOfAnother; }

}  // namespace framemill
