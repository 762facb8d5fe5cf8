#include "framemill/base/thread_priority.h"

#include <thread>

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace framemill {
namespace {

TEST(ThreadPriority, IsLoweredOfTheCallingThreadAlone) {
  const int before = getpriority(PRIO_PROCESS, 0);
  int in_thread = 0, in_its_child = 0;
  std::thread([&] {
    lower_thread_priority(5);
    in_thread = getpriority(PRIO_PROCESS, 0);
    std::thread([&] { in_its_child = getpriority(PRIO_PROCESS, 0); }).join();
  }).join();
  EXPECT_EQ(in_thread, std::min(before + 5, 19));
  EXPECT_EQ(in_its_child, in_thread);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), before);
}

}  // namespace
}  // namespace framemill
