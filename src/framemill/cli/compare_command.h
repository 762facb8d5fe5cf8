#pragma once

#include <string>
#include <vector>

namespace framemill {

/// `framemill compare`: runs several policies on the same clips and holds their answers against
/// full inference. Models are loaded once, each frame is inferred once. A comparison is whole or
/// not at all: where a clip fails, or a signal stops it, nothing is written. Returns the exit
/// status.
int compare_command(const std::vector<std::string>& args);

}  // namespace framemill
