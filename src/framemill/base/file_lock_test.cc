#include "framemill/base/file_lock.h"

#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

TEST(LockFile, AFileBelongsToOneOpeningAtATime) {
  const TempFolder folder;
  const std::string path = folder.write("f", "");
  const int first = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const int second = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  EXPECT_TRUE(lock_file(first));
  EXPECT_TRUE(lock_file(first)) << "it has it already";
  EXPECT_FALSE(lock_file(second));
  EXPECT_EQ(try_lock_file(first), FileLock::kOurs);
  EXPECT_EQ(try_lock_file(second), FileLock::kOfAnother);
  ::close(first);
  EXPECT_TRUE(lock_file(second));
  ::close(second);
}

TEST(LockFile, WhatIsNoFileIsTakenAsItIs) {
  const int first = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  const int second = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  EXPECT_TRUE(lock_file(first));
  EXPECT_TRUE(lock_file(second));
  EXPECT_EQ(try_lock_file(second), FileLock::kUnknown);
  ::close(first);
  ::close(second);
}

}  // namespace
}  // namespace framemill
