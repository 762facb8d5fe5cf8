#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace framemill {

/// `framemill config check FILE` and `framemill config explain [SECTION] [--json|--markdown]`, with
/// the arguments after `config`. Writes data to `out` and complaints to `err`. Returns the exit
/// status: 0, or 2 for wrong usage or a wrong configuration.
[[nodiscard]] int run_config_command(const std::vector<std::string>& arguments, std::ostream& out,
                                     std::ostream& err);

}  // namespace framemill
