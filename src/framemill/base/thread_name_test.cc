#include "framemill/base/thread_name.h"

#include <fstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace framemill {
namespace {

/// As the kernel tells it to `top`.
std::string name_seen_from_outside(std::string_view kind, std::string_view of) {
  std::string name;
  std::thread([&] {
    name_this_thread(kind, of);
    std::ifstream comm("/proc/thread-self/comm");
    std::getline(comm, name);
  }).join();
  return name;
}

TEST(ThreadName, IsWhatTheKernelShows) {
  EXPECT_EQ(name_seen_from_outside("scheduler", ""), "scheduler");
  EXPECT_EQ(name_seen_from_outside("cam", "gate-1"), "cam gate-1");
  EXPECT_EQ(name_seen_from_outside("sink", "/var/lib/x/answers.jsonl"), "sink answers.js");
}

TEST(ThreadName, LongNamesKeepTheirBeginning) {
  EXPECT_EQ(name_seen_from_outside("cam", "loading-dock-north"), "cam loading-doc");
  EXPECT_EQ(name_seen_from_outside("a-kind-of-sixteen", ""), "a-kind-of-sixte");
}

TEST(ThreadName, DoesNotReachTheThreadThatStartedIt) {
  std::string before;
  std::string after;
  std::getline(std::ifstream("/proc/thread-self/comm") >> std::ws, before);
  EXPECT_EQ(name_seen_from_outside("scheduler", ""), "scheduler");
  std::getline(std::ifstream("/proc/thread-self/comm") >> std::ws, after);
  EXPECT_EQ(before, after);
}

}  // namespace
}  // namespace framemill
