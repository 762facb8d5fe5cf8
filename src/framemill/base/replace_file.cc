#include "framemill/base/replace_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

namespace framemill {

Result<void> replace_file(const std::string& path, std::span<const std::uint8_t> bytes) {
  const std::string part = path + ".part";
  std::ofstream file(part, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(part, path, error);
  if (file && !error) return {};
  const std::string reason = error ? error.message() : std::strerror(errno);
  std::filesystem::remove(part, error);
  return fail(ErrorCode::kResourceExhausted,
              fmt::format("{}: cannot be written: {}", path, reason));
}

Result<void> replace_file(const std::string& path, std::string_view text) {
  return replace_file(path, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

Result<void> check_replaceable(const std::string& path) {
  const auto refuse = [&path](const std::string& reason) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: cannot be written: {}", path, reason));
  };
  std::error_code error;
  if (path.empty() || std::filesystem::is_directory(path, error)) return refuse("it is a folder");
  const std::string part = path + ".part";
  const std::ofstream file(part, std::ios::binary | std::ios::trunc);
  if (!file) return refuse(std::strerror(errno));
  std::filesystem::remove(part, error);
  return {};
}

}  // namespace framemill
