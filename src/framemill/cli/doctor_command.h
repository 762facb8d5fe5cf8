#pragma once

#include <string>
#include <vector>

namespace framemill {

/// `framemill doctor`: what the machine has, what a configuration will meet, what to fix. Returns
/// the exit status.
int doctor_command(const std::vector<std::string>& args);

}  // namespace framemill
