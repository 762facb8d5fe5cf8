#include "framemill/infer/cuda/capture_gate.h"

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
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
      const CaptureGate::Capture alone(gate, std::chrono::minutes(1));
      if (!alone.is_alone()) ++wrong;
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

// Promise: beside a use that takes seconds no capture is tried, and so nobody waits for one; once
// it is over, one may at once.
TEST(CaptureGateTest, BesideALongUseNothingIsCaptured) {
  using namespace std::chrono_literals;
  CaptureGate gate;
  auto building = std::make_unique<CaptureGate::Use>(gate, CaptureGate::Length::kLong);
  EXPECT_FALSE(gate.may_capture());
  {
    const CaptureGate::Capture capture(gate, 1h);  // hangs if it waits
    EXPECT_FALSE(capture.is_alone());
  }
  const CaptureGate::Use another(gate);  // hangs if a capture is still wanted
  const auto begin = std::chrono::steady_clock::now();
  gate.wait_for_quiet();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, CaptureGate::kQuiet);
  std::jthread end([&building] { building.reset(); });
  end.join();
  EXPECT_TRUE(gate.may_capture());
  const CaptureGate::Capture in_vain(gate, 1ms);  // `another` stays
  EXPECT_FALSE(in_vain.is_alone());
}

// Promise: a use that stays, as on a device that hangs, costs a capture its turn and nobody else
// more than the capture's patience.
TEST(CaptureGateTest, AUseThatStaysDoesNotStopTheOthers) {
  using namespace std::chrono_literals;
  CaptureGate gate;
  const CaptureGate::Use hangs(gate);
  const auto begin = std::chrono::steady_clock::now();
  std::jthread capturer([&gate] {
    const CaptureGate::Capture capture(gate, 50ms);
    EXPECT_FALSE(capture.is_alone());
  });
  std::jthread user([&gate] {  // hangs if the capture waits for ever
    for (int i = 0; i < 100; ++i) const CaptureGate::Use use(gate);
  });
  capturer.join();
  user.join();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 50ms);
  // Those that come right after it do not hold the uses up again.
  EXPECT_FALSE(gate.may_capture());
  EXPECT_FALSE(CaptureGate::Capture(gate, 10s).is_alone());
}

TEST(CaptureGateTest, AfterAQuietTimeACaptureMayTryAgain) {
  CaptureGate gate;
  {
    const CaptureGate::Use use(gate);
    EXPECT_FALSE(CaptureGate::Capture(gate, Duration(1)).is_alone());
  }
  gate.wait_for_quiet();
  EXPECT_TRUE(gate.may_capture());
  EXPECT_TRUE(CaptureGate::Capture(gate).is_alone());
}

int mode_of_thread = 0;  // as the driver keeps it, CU_STREAM_CAPTURE_MODE_GLOBAL at first
int exchange_mode(int* mode) {
  std::swap(*mode, mode_of_thread);
  return 0;
}

TEST(CaptureGateTest, AUseDoesNotMindTheCapturesOfOtherDevices) {
  CaptureGate gate(exchange_mode);
  {
    const CaptureGate::Use use(gate);
    EXPECT_EQ(mode_of_thread, 1) << "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL";
  }
  EXPECT_EQ(mode_of_thread, 0) << "as it was";
  const CaptureGate::Capture capture(gate);
  EXPECT_EQ(mode_of_thread, 0);
}

}  // namespace
}  // namespace framemill
