#include "framemill/base/file_identity.h"

#include <filesystem>
#include <system_error>

#include <sys/stat.h>

namespace framemill {

std::filesystem::path real_path(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path place = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) place = fs::absolute(path, error).lexically_normal();
  return place.has_filename() ? place : place.parent_path();
}

std::optional<FileIdentity> identify_file(const std::string& path) {
  if (path.empty()) return std::nullopt;
  struct stat facts {};
  if (::stat(path.c_str(), &facts) == 0) {
    if (!S_ISREG(facts.st_mode)) return std::nullopt;
    return FileIdentity{.device = facts.st_dev, .number = facts.st_ino, .path = {}};
  }
  // Made later: folders on the way may still be links.
  return FileIdentity{.device = 0, .number = 0, .path = real_path(path).string()};
}

}  // namespace framemill
