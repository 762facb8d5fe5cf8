#include "framemill/cli/file_watch.h"

#include <atomic>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() {
    fs::create_directories(folder_ / "a");
    fs::create_directories(folder_ / "b");
    write(folder_ / "site.yaml", "one");
  }

  static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  /// Whether it is told `times` in all within a generous time, and not more a moment later.
  [[nodiscard]] bool is_told(int times) const {
    for (int i = 0; i < 500 && told_ < times; ++i) usleep(10'000);
    usleep(150'000);
    return told_ == times;
  }
  FileWatch::Options quick(Duration look_every = std::chrono::hours(1)) {
    return {.quiet = milliseconds(50), .patience = milliseconds(500), .look_every = look_every};
  }

  const TempFolder folder_;
  std::atomic<int> told_{0};
};

TEST_F(FileWatchTest, TellsEachWayToChangeAFileOnce) {
  const fs::path file = folder_ / "site.yaml";
  const FileWatch watch(
      {file.string()}, [this] { ++told_; }, quick());
  EXPECT_TRUE(is_told(0));
  write(file, "two");  // in place
  EXPECT_TRUE(is_told(1));
  write(folder_ / "site.yaml.new", "three");  // by rename
  fs::rename(folder_ / "site.yaml.new", file);
  EXPECT_TRUE(is_told(2));
  fs::rename(file, folder_ / "site.yaml~");  // as vim with a backup: away, and another in its place
  write(file, "four");
  EXPECT_TRUE(is_told(3));
  for (int i = 0; i < 10; ++i) write(file, std::to_string(i));  // a burst
  EXPECT_TRUE(is_told(4));
  fs::remove(file);
  EXPECT_TRUE(is_told(5));
  write(file, "five");
  EXPECT_TRUE(is_told(6));
}

TEST_F(FileWatchTest, IsNotTroubledByOtherFiles) {
  const FileWatch watch(
      {(folder_ / "site.yaml").string()}, [this] { ++told_; }, quick());
  for (int i = 0; i < 20; ++i) write(folder_ / ("log" + std::to_string(i)), "x");
  write(folder_ / "site.yaml.part", "x");
  EXPECT_TRUE(is_told(0));
}

TEST_F(FileWatchTest, FollowsLinksThatAreExchanged) {
  write(folder_ / "a" / "site.yaml", "one");
  write(folder_ / "b" / "site.yaml", "two");
  fs::create_directory_symlink("a", folder_ / "data");  // as a mounted ConfigMap
  fs::create_symlink("data/site.yaml", folder_ / "linked.yaml");
  const FileWatch watch(
      {(folder_ / "linked.yaml").string()}, [this] { ++told_; }, quick());
  EXPECT_TRUE(is_told(0));
  fs::create_directory_symlink("b", folder_ / "data.new");
  fs::rename(folder_ / "data.new", folder_ / "data");
  EXPECT_TRUE(is_told(1));
  write(folder_ / "b" / "site.yaml", "three");  // where it leads now
  EXPECT_TRUE(is_told(2));
}

TEST_F(FileWatchTest, LooksByItselfWhereTheKernelTellsNothing) {
  // A file whose folder does not exist yet cannot be watched.
  const fs::path file = folder_ / "later" / "site.yaml";
  const FileWatch watch(
      {file.string()}, [this] { ++told_; }, quick(milliseconds(20)));
  fs::create_directories(folder_ / "later");
  write(file, "one");
  EXPECT_TRUE(is_told(1));
}

TEST_F(FileWatchTest, AFileThatNeverRestsIsToldAnyway) {
  const fs::path file = folder_ / "site.yaml";
  const FileWatch watch(
      {file.string()}, [this] { ++told_; }, quick());
  for (int i = 0; i < 150 && told_ == 0; ++i) {
    write(file, std::string(static_cast<std::size_t>(i + 1), 'x'));
    usleep(10'000);
  }
  EXPECT_GT(told_, 0);
}

}  // namespace
}  // namespace framemill
