#include "framemill/base/file_identity.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

TEST(IdentifyFile, FollowsEachWayToAFile) {
  const TempFolder folder;
  const std::string file = folder.write("a/clip.mp4", "x");
  std::filesystem::create_symlink(file, folder / "symbolic");
  std::filesystem::create_hard_link(file, folder / "hard");
  const auto identity = identify_file(file);
  ASSERT_TRUE(identity);
  for (const char* const way : {"a/../a/./clip.mp4", "symbolic", "hard"})
    EXPECT_EQ(identify_file(folder / way), identity) << way;
  EXPECT_NE(identify_file(folder.write("other", "x")), identity);
}

TEST(IdentifyFile, KnowsAFileThatDoesNotExistByItsPlace) {
  const TempFolder folder;
  folder.write("a/x");
  std::filesystem::create_directory_symlink(folder / "a", folder / "link");
  const auto identity = identify_file(folder / "a/new.jsonl");
  ASSERT_TRUE(identity);
  EXPECT_EQ(identify_file(folder / "a/./../a/new.jsonl"), identity);
  EXPECT_EQ(identify_file(folder / "link/new.jsonl"), identity);
  EXPECT_NE(identify_file(folder / "new.jsonl"), identity);
  EXPECT_EQ(identify_file("new.jsonl"), identify_file("./new.jsonl"));
}

TEST(IdentifyFile, WhatIsNoRegularFileHasNone) {
  for (const char* const path : {"", "/dev/null", "/tmp"})
    EXPECT_FALSE(identify_file(path)) << path;
}

}  // namespace
}  // namespace framemill
