#include "framemill/base/old_files.h"

#include <cstdio>

#include <fmt/format.h>

namespace framemill {

void move_up_old_files(const std::string& path, std::size_t kept) {
  const auto name = [&](std::size_t number) { return fmt::format("{}.{}", path, number); };
  for (std::size_t i = kept; i > 1; --i) std::rename(name(i - 1).c_str(), name(i).c_str());
  std::rename(path.c_str(), name(1).c_str());
}

}  // namespace framemill
