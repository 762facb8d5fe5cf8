#include "framemill/infer/compiled_models.h"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::SizeIs;

constexpr CompiledModelsLimit kLimit{.bytes_max = 250};

class CompiledModels : public testing::Test {
 protected:
  /// A file of `bytes`, used so long ago.
  fs::path put(const std::string& name, std::chrono::minutes ago, std::size_t bytes = 100) const {
    const fs::path path = cache_.write(name, std::string(bytes, 'x'));
    use(name, ago);
    return path;
  }
  void use(const std::string& name, std::chrono::minutes ago) const {
    fs::last_write_time(cache_ / name, fs::file_time_type::clock::now() - ago);
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(cache_.path()))
      if (!fs::is_directory(entry.symlink_status()))
        names.push_back(entry.path().lexically_relative(cache_.path()));
    std::ranges::sort(names);
    return names;
  }
  const TempFolder cache_;
};

TEST_F(CompiledModels, WhatWasNotUsedForTheLongestTimeGoesFirst) {
  put("openvino/a", 5h);
  put("rtx/b", 7h);
  put("openvino/c", 6h);
  put("tensorrt/d", 1h);
  prune_compiled_models(cache_.path(), {.bytes_max = 400});
  EXPECT_THAT(names(), SizeIs(4)) << "they fit";
  note_use(cache_ / "rtx/b");
  prune_compiled_models(cache_.path(), kLimit);
  EXPECT_THAT(names(), ElementsAre("rtx/b", "tensorrt/d"));
}

TEST_F(CompiledModels, AFolderIsOneEntryUsedWhenItsNewestFileWas) {
  for (const char* const name : {"key1/engine", "key1/timings", "key2/engine", "key2/timings"})
    put(std::string("tensorrt/") + name, 9h);
  put("openvino/a", 5h);
  use("tensorrt/key2/timings", 1h);
  for (const char* const folder : {"tensorrt/key1", "tensorrt/key2"}) use(folder, 9h);
  prune_compiled_models(cache_.path(), {.bytes_max = 350});
  EXPECT_THAT(names(), ElementsAre("openvino/a", "tensorrt/key2/engine", "tensorrt/key2/timings"));
  EXPECT_FALSE(fs::exists(cache_ / "tensorrt/key1"));
}

TEST_F(CompiledModels, WhatIsUsedNowStaysHoweverMuchItIs) {
  put("openvino/young", 5min, 1000);
  put("openvino/old", 11min, 1000);
  prune_compiled_models(cache_.path(), kLimit);
  EXPECT_THAT(names(), ElementsAre("openvino/young"));
  // Used by this process, a while ago: the limit's time is over, the process is not.
  note_use(cache_ / "openvino/young");
  std::this_thread::sleep_for(20ms);
  prune_compiled_models(cache_.path(), {.bytes_max = 250, .spared = 0min});
  EXPECT_THAT(names(), ElementsAre("openvino/young"));
}

TEST_F(CompiledModels, NothingElseIsTouched) {
  put("prepare/python", 90h, 1000);
  put("openvino.txt", 90h, 1000);
  const fs::path target = put("elsewhere/precious", 90h, 1000);
  put("openvino/folder/graph", 80h, 1000);
  fs::create_directory_symlink(target.parent_path(), cache_ / "openvino/link");
  fs::create_symlink(target, cache_ / "openvino/folder/link");
  use("openvino/folder", 80h);
  prune_compiled_models(cache_.path(), kLimit);
  EXPECT_FALSE(fs::exists(cache_ / "openvino/folder"));
  EXPECT_THAT(names(),
              ElementsAre("elsewhere/precious", "openvino.txt", "openvino/link", "prepare/python"));
  prune_compiled_models(cache_ / "none", kLimit);
}

TEST_F(CompiledModels, ManyThatPruneAtOnceRemoveNoMoreThanOne) {
  for (int i = 0; i < 40; ++i)
    put("openvino/" + std::to_string(10 + i), std::chrono::hours(50 - i));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([this] { prune_compiled_models(cache_.path(), {.bytes_max = 1000}); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(names(), SizeIs(10));
  EXPECT_THAT(names(), IsSupersetOf({"openvino/40", "openvino/49"})) << "the last used";
}

TEST_F(CompiledModels, AFolderThatARuntimeFillsIsPrunedWhereItWrote) {
  const fs::path path = cache_ / "tensorrt/key";
  CompiledFolder folder(cache_.path(), path);
  const fs::path old = put("openvino/old", 20h, 1);
  const auto fill = [&] {
    fs::resize_file(old, std::uintmax_t{3} << 30);  // takes no place on the disk
    use("openvino/old", 20h);
  };
  fill();
  folder.look_again();
  EXPECT_FALSE(fs::exists(old)) << "it is new";
  put("openvino/old", 20h, 1);
  fill();
  folder.look_again();
  EXPECT_TRUE(fs::exists(old)) << "nothing was written";
  std::this_thread::sleep_for(20ms);  // more than a tick of the file system's clock
  cache_.write("tensorrt/key/engine", "x");
  folder.look_again();
  EXPECT_FALSE(fs::exists(old));
  // A second session, of the same or another process, notes its use.
  for (const char* const name : {"tensorrt/key/engine", "tensorrt/key"}) use(name, 20h);
  const CompiledFolder again(cache_.path(), path);
  EXPECT_GT(last_use(path), fs::file_time_type::clock::now() - 1h);
  EXPECT_TRUE(again.is_usable());
}

// Promise: where nothing can be kept, the runtime is not told to.
TEST_F(CompiledModels, AFolderThatCannotBeMadeIsNotUsable) {
  cache_.write("tensorrt", "a file");
  EXPECT_FALSE(CompiledFolder(cache_.path(), cache_ / "tensorrt/key").is_usable());
}

}  // namespace
}  // namespace framemill
