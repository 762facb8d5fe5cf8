#pragma once

#include <string>
#include <vector>

namespace framemill {

/// `framemill prepare`: from an exported model to a set that can be deployed. Checks options and
/// the model, then becomes the Python worker (prepare/), whose exit status is the command's.
/// Returns only where that does not come about.
int prepare_command(const std::vector<std::string>& args);

}  // namespace framemill
