#pragma once

namespace framemill {

enum class FileLock {
  kOurs,
  kOfAnother,  ///< another opening of the file has it
  kUnknown,    ///< no regular file, or its system knows no locks: nobody can tell
};

/// Takes the file that is open as `fd` for this opening of it alone, in all processes, without
/// waiting. The kernel lets go of it when `fd` is closed, and with the process. Any
/// thread.
[[nodiscard]] FileLock try_lock_file(int fd);

/// The same for files that are written all the same where nobody can tell. False: it belongs to
/// another.
[[nodiscard]] bool lock_file(int fd);

}  // namespace framemill
