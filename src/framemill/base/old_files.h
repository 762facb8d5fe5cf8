#pragma once

#include <cstddef>
#include <string>

namespace framemill {

/// `path` becomes PATH.1; the older ones move up, PATH.`kept` goes. What cannot be moved stays.
void move_up_old_files(const std::string& path, std::size_t kept);

}  // namespace framemill
