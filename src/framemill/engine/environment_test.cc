#include "framemill/engine/environment.h"

#include <set>

#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

TEST(RunId, SortsByTimeAndIsUnique) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(make_run_id(WallTime(1767254404004ms)));
  EXPECT_EQ(ids.size(), 1000U);
  EXPECT_EQ(ids.begin()->size(), 26U);
  EXPECT_LT(make_run_id(WallTime(1767254404004ms)), make_run_id(WallTime(1767254404005ms)));
}

TEST(Environment, KnowsThisMachine) {
  const Environment environment = read_environment();
  EXPECT_GE(environment.cpu_count, 1U);
  EXPECT_GT(environment.memory_bytes, 100'000'000);
  EXPECT_FALSE(environment.cpu_model.empty());
  const ProcessUsage usage = read_process_usage();
  EXPECT_GT(usage.rss_bytes, 1'000'000);
  EXPECT_GE(usage.rss_peak_bytes, usage.rss_bytes / 2);
}

// As the backends count them, and as profiles do: a container of 16 cores may use 1 of them.
TEST(Environment, CountsTheCoresThatTheContainerMayUse) {
  const TempFolder root;
  root.write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  root.write("proc/cpuinfo", "processor : 0\nmodel name\t: Fast 9000\n");
  EXPECT_EQ(read_environment(root.path()).cpu_count, 1U);
  EXPECT_EQ(read_environment(root.path()).cpu_model, "Fast 9000");
}

}  // namespace
}  // namespace framemill
