#pragma once

#include <string>
#include <vector>

namespace framemill {

/// `framemill eval`: a model on labelled pictures, or held against another one. Returns the exit
/// status.
int eval_command(const std::vector<std::string>& args);

}  // namespace framemill
