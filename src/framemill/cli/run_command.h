#pragma once

#include <string>
#include <vector>

namespace framemill {

/// `framemill run`; `args` as after the subcommand. Returns the exit status.
[[nodiscard]] int run_command(const std::vector<std::string>& args);

}  // namespace framemill
