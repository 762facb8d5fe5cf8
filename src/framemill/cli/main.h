#pragma once

namespace framemill {

/// The whole program: finds the subcommand in its table and runs it. Returns the exit status: 0
/// done, 1 the work failed, 2 wrong usage or configuration (nothing was started).
[[nodiscard]] int run_command_line(int argc, char** argv);

}  // namespace framemill
