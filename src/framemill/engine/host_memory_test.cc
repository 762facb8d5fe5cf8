#include "framemill/engine/host_memory.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

class HostMemoryTest : public testing::Test {
 protected:
  HostMemoryTest() {
    put("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 600 kB\n");
    put("proc/self/cgroup", "0::/system.slice/framemill.service\n");
  }
  void put(const std::string& name, const std::string& content) {
    const std::filesystem::path path = root_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  HostMemory read() const { return read_host_memory(root_.path()); }

  const TempFolder root_;
};

TEST_F(HostMemoryTest, IsTheMachinesWhereNothingLimitsIt) {
  EXPECT_EQ(read().total_bytes, 1'024'000);
  EXPECT_EQ(read().available_bytes, 614'400);
  EXPECT_FALSE(is_short(read()));
  put("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 49 kB\n");
  EXPECT_TRUE(is_short(read()));
  EXPECT_FALSE(is_short(read_host_memory(root_.path() / "none"))) << "not known is not short";
}

TEST_F(HostMemoryTest, IsThatOfTheServiceOrOfTheSliceAboveIt) {
  const std::string service = "sys/fs/cgroup/system.slice/framemill.service/";
  put(service + "memory.max", "max\n");
  put(service + "memory.high", "400000\n");
  put(service + "memory.current", "390000\n");
  put(service + "memory.stat", "anon 300000\ninactive_file 50000\nactive_file 40000\n");
  EXPECT_EQ(read().total_bytes, 400'000);
  EXPECT_EQ(read().available_bytes, 60'000) << "pages of files that nobody has used lately go";
  EXPECT_FALSE(is_short(read()));
  put("sys/fs/cgroup/system.slice/memory.max", "500000\n");
  put("sys/fs/cgroup/system.slice/memory.current", "490000\n");
  EXPECT_EQ(read().total_bytes, 500'000);
  EXPECT_TRUE(is_short(read()));
}

TEST_F(HostMemoryTest, IsThatOfTheContainer) {
  put("proc/self/cgroup", "0::/\n");
  put("sys/fs/cgroup/memory.max", "200000\n");
  put("sys/fs/cgroup/memory.current", "195000\n");
  EXPECT_TRUE(is_short(read()));
  put("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_FALSE(is_short(read()));
}

TEST_F(HostMemoryTest, KnowsTheFirstVersionOfGroups) {
  put("proc/self/cgroup", "4:memory:/docker/1\n");
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "200000\n");
  put("sys/fs/cgroup/memory/memory.usage_in_bytes", "199000\n");
  put("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 4000\n");
  EXPECT_EQ(read().available_bytes, 5'000);
  EXPECT_TRUE(is_short(read()));
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(read().total_bytes, 1'024'000);
}

}  // namespace
}  // namespace framemill
