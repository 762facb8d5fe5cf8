#include "framemill/engine/machine_facts.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FakeMachine : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) const { root_.write(path, text); }
  const TempFolder root_;
};

TEST_F(FakeMachine, SaysWhatTheSystemShows) {
  put("proc/cpuinfo",
      "processor\t: 0\nmodel name\t: Fast 9000\nflags\t\t: fpu avx2 avx avx512_vnni\n\n"
      "processor\t: 1\nmodel name\t: Other\n");
  put("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 3 kB\nMemAvailable:  600 kB\n");
  put("proc/loadavg", "1.50 1.00 0.50 2/100 12345\n");
  put("sys/fs/cgroup/memory.max", "512000\n");
  put("sys/fs/cgroup/memory.current", "500000\n");
  for (const char* const name :
       {"dev/dri/renderD128", "dev/dri/card0", "dev/nvidia1", "dev/nvidiactl", "dev/nvidia-uvm"})
    put(name, "");
  put("proc/driver/nvidia/version", "NVRM version: 550.1\nGCC\n");
  const MachineFacts facts = read_machine_facts(root_.path());
  EXPECT_EQ(facts.cpu, "Fast 9000");
  EXPECT_THAT(facts.cpu_features, ElementsAre("avx", "avx2", "avx512_vnni"));
  EXPECT_EQ(facts.memory_bytes, 1'024'000);
  EXPECT_EQ(facts.memory_available_bytes, 614'400);
  EXPECT_EQ(facts.memory_limit_bytes, 512'000);
  EXPECT_EQ(facts.memory_used_bytes, 500'000);
  EXPECT_DOUBLE_EQ(facts.load_average, 1.5);
  EXPECT_THAT(facts.gpus, ElementsAre((root_ / "dev/dri/renderD128").string(),
                                      (root_ / "dev/nvidia1").string()));
  EXPECT_EQ(facts.nvidia, "NVRM version: 550.1");
  EXPECT_GE(facts.machine_cores, facts.cores);
}

TEST_F(FakeMachine, NothingShownIsNothingClaimed) {
  const MachineFacts facts = read_machine_facts(root_.path());
  EXPECT_EQ(facts.cpu, "unknown");
  EXPECT_THAT(facts.cpu_features, IsEmpty());
  EXPECT_THAT(facts.gpus, IsEmpty());
  EXPECT_FALSE(facts.memory_limit_bytes);
  EXPECT_GE(facts.cores, 1U);
}

TEST_F(FakeMachine, NoLimitIsNotALimit) {
  put("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_FALSE(read_machine_facts(root_.path()).memory_limit_bytes);
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(read_machine_facts(root_.path()).memory_limit_bytes);
}

}  // namespace
}  // namespace framemill
