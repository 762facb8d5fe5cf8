#include "framemill/base/replace_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

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

Result<void> rewrite_file(const std::string& path, std::string_view text) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  struct stat old {};
  if (error || stat(real.c_str(), &old) != 0)
    return fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: cannot be found any more; check the path", path));
  const std::string part = real.string() + ".part";
  const int file = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool is_written = file >= 0;
  for (std::string_view rest = text; is_written && !rest.empty();) {
    const ssize_t count = write(file, rest.data(), rest.size());
    is_written = count > 0;
    if (is_written) rest.remove_prefix(static_cast<std::size_t>(count));
  }
  is_written = is_written && fsync(file) == 0;
  if (is_written) {
    // First the owner, since giving a file away clears some of its rights.
    [[maybe_unused]] const int given = fchown(file, old.st_uid, old.st_gid);
    is_written = fchmod(file, old.st_mode & 07777) == 0 && rename(part.c_str(), real.c_str()) == 0;
  }
  const std::string reason = std::strerror(errno);
  if (file >= 0) close(file);
  if (is_written) return {};
  std::filesystem::remove(part, error);
  return fail(ErrorCode::kResourceExhausted,
              fmt::format("{}: cannot be written: {}; let framemill's user write to the file's "
                          "folder, and see to free space",
                          path, reason));
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
