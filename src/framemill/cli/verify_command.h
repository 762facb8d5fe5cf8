#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace framemill {

/// `framemill verify WORKLOAD --profile P...`, with the arguments after `verify`: plays the
/// workload's cameras on this machine with the real engine, and prints what `simulate` predicts for
/// it beside what was measured. The table or JSON goes to `out`, complaints to `err`. Returns the
/// exit status: 0; 1 where the run failed; 2 for wrong usage or input, nothing was started.
[[nodiscard]] int verify_command(const std::vector<std::string>& arguments, std::ostream& out,
                                 std::ostream& err);

}  // namespace framemill
