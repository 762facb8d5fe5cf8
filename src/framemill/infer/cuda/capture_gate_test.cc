#include "framemill/infer/cuda/capture_gate.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

// Promise: uses run beside each other, a capture alone, and steady uses do not keep one out.
TEST(CaptureGateTest, ACaptureIsAloneAndGetsItsTurn) {
  CaptureGate gate;
  std::atomic<int> users = 0, capturers = 0, wrong = 0, captures = 0;
  std::atomic<bool> is_over = false;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      while (!is_over) {
        const CaptureGate::Use use(gate);
        ++users;
        if (capturers != 0) ++wrong;
        std::this_thread::yield();
        --users;
      }
    });
  threads.emplace_back([&] {
    while (captures < 200) {
      const CaptureGate::Capture alone(gate);
      ++capturers;
      if (users != 0 || capturers != 1) ++wrong;
      std::this_thread::yield();
      --capturers;
      ++captures;
    }
    is_over = true;
  });
  threads.clear();
  EXPECT_EQ(0, wrong);
  EXPECT_EQ(200, captures);
}

TEST(CaptureGateTest, UsesRunBesideEachOther) {
  CaptureGate gate;
  const auto first = std::make_unique<CaptureGate::Use>(gate);
  std::jthread([&gate] { const CaptureGate::Use second(gate); }).join();  // hangs if it must wait
}

}  // namespace
}  // namespace framemill
