#include "framemill/engine/replace_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

namespace framemill {

Result<void> replace_file(const std::string& path, std::span<const std::uint8_t> bytes) {
  const std::string part = path + ".part";
  {
    std::ofstream file(part, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    file.flush();
    if (!file) {
      return fail(ErrorCode::kResourceExhausted,
                  fmt::format("{}: the picture cannot be written: {}", path, std::strerror(errno)));
    }
  }
  if (std::rename(part.c_str(), path.c_str()) != 0) {
    return fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: the picture cannot be written: {}", path, std::strerror(errno)));
  }
  return {};
}

}  // namespace framemill
