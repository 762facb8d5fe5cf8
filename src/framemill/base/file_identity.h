#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace framemill {

/// What makes two paths the same file: the device and number of one that exists, else the absolute
/// path that it would have. Comparable, for sets and maps.
struct FileIdentity {
  std::uint64_t device = 0, number = 0;  ///< both 0: does not exist
  std::string path;                      ///< empty: exists
  friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};

/// `path`, absolute, without links and ways round as far as it exists, and without a slash at its
/// end. Looks at folders only.
[[nodiscard]] std::filesystem::path real_path(const std::string& path);

/// Which file `path` leads to; links are followed. Empty for what is no regular file (a pipe, a
/// terminal, /dev/null, a folder) and for "": nothing in it can be overwritten. Opens nothing.
[[nodiscard]] std::optional<FileIdentity> identify_file(const std::string& path);

}  // namespace framemill
