#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include <gtest/gtest.h>

#include "framemill/base/check.h"

namespace framemill {

/// A new, empty folder below testing::TempDir() (which TEST_TMPDIR and TMPDIR move) that no other
/// test has, not even the same one in another process; removed with all that is in it when the
/// object goes. Tests of one suite run as processes beside each other, so this is the only way in
/// which a test makes files. Dies where the folder cannot be made: nothing can be tested then.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::path(testing::TempDir()) / "framemill-XXXXXX").string();
    CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;  // what a test took its rights from stays behind
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  /// Absolute, without a slash at the end.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// The place of `name` in it; nothing is made.
  [[nodiscard]] std::filesystem::path operator/(const std::filesystem::path& name) const {
    return path_ / name;
  }
  /// Writes the file `name`, after the folders on the way to it; returns its path.
  std::string write(const std::filesystem::path& name, std::string_view content = {}) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file.string();
  }

 private:
  std::filesystem::path path_;
};

}  // namespace framemill
