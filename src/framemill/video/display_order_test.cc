#include "framemill/video/display_order.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using std::chrono::milliseconds;
using State = PendingFrame::State;

PendingFrame frame(std::int64_t packet_id, int place, State state = State::kSent) {
  return {.packet_id = packet_id, .pts = milliseconds(40 * place), .state = state};
}

/// "0d 1s 2l": places in display order with what became of them.
std::string text(const std::vector<PendingFrame>& settled) {
  std::string out;
  for (const PendingFrame& f : settled) {
    constexpr char kLetters[] = {'?', 's', 'l', 'd'};
    out += (out.empty() ? "" : " ") + std::to_string(f.pts / milliseconds(40)) +
           kLetters[static_cast<int>(f.state)];
  }
  return out;
}

TEST(DisplayOrder, AFrameThatComesOutSettlesThoseBeforeIt) {
  DisplayOrder order;
  std::vector<PendingFrame> settled;
  order.add(frame(0, 0), settled);  // I0 P3 b1 b2
  order.add(frame(1, 3), settled);
  order.add(frame(2, 1), settled);
  order.add(frame(3, 2), settled);
  EXPECT_EQ(text(settled), "");
  EXPECT_TRUE(order.settle(0, settled));
  EXPECT_TRUE(order.settle(2, settled));
  EXPECT_TRUE(order.settle(1, settled));  // frame 2 never came
  EXPECT_EQ(text(settled), "0d 1d 2l 3d");
  EXPECT_TRUE(order.is_trusted());
}

TEST(DisplayOrder, ASkippedFrameWaitsOnlyForThoseBeforeIt) {
  DisplayOrder order;
  std::vector<PendingFrame> settled;
  order.add(frame(0, 0), settled);
  order.add(frame(1, 3), settled);
  order.add(frame(2, 1, State::kSkipped), settled);
  EXPECT_EQ(text(settled), "");
  order.settle(0, settled);
  EXPECT_EQ(text(settled), "0d 1s");
  order.add(frame(3, 2, State::kSkipped), settled);
  EXPECT_EQ(text(settled), "0d 1s 2s");
}

TEST(DisplayOrder, ALostFrameWaitsUnlessTheStreamKeepsItsOrder) {
  for (const bool is_in_order : {false, true}) {
    DisplayOrder order;
    order.set_in_order(is_in_order);
    std::vector<PendingFrame> settled;
    order.add(frame(0, 0), settled);
    EXPECT_TRUE(order.mark_lost(0));
    order.settle_lost(settled);
    EXPECT_EQ(text(settled), is_in_order ? "0l" : "");
    order.flush(settled);
    EXPECT_EQ(text(settled), "0l");
    EXPECT_FALSE(order.mark_lost(0));
  }
}

TEST(DisplayOrder, TimeStampsThatLieAreDistrusted) {
  DisplayOrder order;  // pts in decode order, although frames are reordered: I0 P1 b2 b3
  std::vector<PendingFrame> settled;
  for (int i = 0; i < 4; ++i) order.add(frame(i, i), settled);
  EXPECT_TRUE(order.settle(0, settled));
  EXPECT_TRUE(order.settle(2, settled));  // takes P1 for lost
  EXPECT_FALSE(order.settle(1, settled));
  EXPECT_FALSE(order.is_trusted());
  EXPECT_TRUE(order.settle(3, settled));
  EXPECT_EQ(text(settled), "0d 1l 2d 3d");
}

TEST(DisplayOrder, WithoutTrustFramesTakeTheSmallestTimeStamp) {
  DisplayOrder order;
  order.distrust();
  std::vector<PendingFrame> settled;
  for (int i = 0; i < 4; ++i) order.add(frame(i, i), settled);
  for (const std::int64_t id : {0, 2, 3, 1}) EXPECT_TRUE(order.settle(id, settled));
  EXPECT_EQ(text(settled), "0d 1d 2d 3d");
  EXPECT_EQ(settled[1].packet_id, 2);
  EXPECT_EQ(settled[3].packet_id, 1);
}

TEST(DisplayOrder, EveryFrameIsSettledOnceAndInOrder) {  // property: losses, skips, reordering
  std::mt19937 rng(11);
  for (int round = 0; round < 500; ++round) {
    DisplayOrder order;
    std::vector<PendingFrame> settled;
    const int group = 1 + static_cast<int>(rng() % 4);
    std::int64_t id = 0;
    std::vector<PendingFrame> held;  // in the decoder
    const auto emit = [&](std::size_t keep) {
      while (held.size() > keep) {
        const auto first = std::ranges::min_element(held, {}, &PendingFrame::pts);
        EXPECT_TRUE(order.settle(first->packet_id, settled));
        held.erase(first);
      }
    };
    for (int anchor = 0; anchor < 40; ++anchor) {
      std::vector<PendingFrame> coded{frame(id++, anchor * group)};
      for (int b = 1; b < group && anchor > 0; ++b)
        coded.push_back(frame(id++, (anchor - 1) * group + b));
      for (std::size_t i = 0; i < coded.size(); ++i) {
        const bool is_b = i > 0;
        if (is_b && rng() % 3 == 0) coded[i].state = State::kSkipped;
        order.add(coded[i], settled);
        if (coded[i].state == State::kSkipped) continue;
        if (rng() % 10 == 0)
          order.mark_lost(coded[i].packet_id);
        else
          held.push_back(coded[i]);
        emit(group > 1 ? 1 : 0);
      }
    }
    emit(0);
    order.flush(settled);
    ASSERT_EQ(settled.size(), static_cast<std::size_t>(id)) << round;
    EXPECT_TRUE(std::ranges::is_sorted(settled, {}, &PendingFrame::pts)) << round;
    EXPECT_TRUE(order.is_trusted()) << round;
  }
}

TEST(DisplayOrder, NeverHoldsMoreThanItsBound) {
  DisplayOrder order;
  std::vector<PendingFrame> settled;
  for (int i = 0; i < 1000; ++i) {
    order.add(frame(i, i), settled);
    ASSERT_LE(order.pending().size(), DisplayOrder::kPendingMax);
  }
  order.flush(settled);
  EXPECT_EQ(settled.size(), 1000U);
}

}  // namespace
}  // namespace framemill
