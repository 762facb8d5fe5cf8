#pragma once

namespace framemill {

/// Takes the file that is open as `fd` for this opening of it alone, in all processes, without
/// waiting. The kernel lets go of it when `fd` is closed, and with the process. False: it belongs
/// to another. What is no regular file, and files on a system that knows no locks, are taken as
/// they are. Any thread.
[[nodiscard]] bool lock_file(int fd);

}  // namespace framemill
