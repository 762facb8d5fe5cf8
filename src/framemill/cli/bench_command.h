#pragma once

#include <string>
#include <vector>

namespace framemill {

/// `framemill bench`: measures a model on this machine. Returns the exit status.
int bench_command(const std::vector<std::string>& args);

}  // namespace framemill
