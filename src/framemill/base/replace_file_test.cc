#include "framemill/base/replace_file.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

class ReplaceFile : public testing::Test {
 protected:
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::ptrdiff_t files() const {
    return std::distance(std::filesystem::directory_iterator(folder_.path()), {});
  }
  const TempFolder folder_;
};

TEST_F(ReplaceFile, WritesTextAndBytesInPlaceOfWhatWasThere) {
  const std::string path = folder_ / "page";
  ASSERT_TRUE(replace_file(path, std::string("a longer text that goes")));
  EXPECT_EQ(read(path), "a longer text that goes");
  ASSERT_TRUE(replace_file(path, std::array<std::uint8_t, 3>{0xFF, 0, 'x'}));
  EXPECT_EQ(read(path), std::string("\xFF\0x", 3));
  EXPECT_EQ(files(), 1);
}

TEST_F(ReplaceFile, WhatCannotBeReplacedStaysAndNothingIsLeftBehind) {
  const std::string path = folder_ / "taken";
  std::filesystem::create_directories(path + "/inside");
  const Result<void> done = replace_file(path, std::string("text"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_NE(done.error().message().find(path), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(path + "/inside"));
  EXPECT_EQ(files(), 1);
  EXPECT_FALSE(check_replaceable(path));
  EXPECT_TRUE(check_replaceable(folder_ / "free"));
  EXPECT_EQ(files(), 1);
}

}  // namespace
}  // namespace framemill
