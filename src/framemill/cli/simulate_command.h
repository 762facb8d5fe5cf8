#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace framemill {

/// `framemill simulate WORKLOAD --profile P...`, with the arguments after `simulate`. The table or
/// JSON goes to `out`: the same arguments and files give the same bytes. How fast it was, and
/// complaints, go to `err`. Returns the exit status: 0, or 2 for wrong usage or input.
[[nodiscard]] int simulate_command(const std::vector<std::string>& arguments, std::ostream& out,
                                   std::ostream& err);

}  // namespace framemill
