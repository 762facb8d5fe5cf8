#include "framemill/base/bounded_queue.h"

#include <future>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(BoundedQueue, KeepsOrderAndItsLimit) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.try_push(1));
  EXPECT_TRUE(queue.try_push(2));
  EXPECT_FALSE(queue.try_push(3));
  EXPECT_EQ(queue.size(), 2U);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);
}

TEST(BoundedQueue, WhatIsRefusedIsUntouched) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  EXPECT_TRUE(queue.try_push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(queue.try_push(std::move(second)));
  ASSERT_NE(second, nullptr);
  queue.close();
  EXPECT_FALSE(queue.push(std::move(second)));
  EXPECT_NE(second, nullptr);
}

TEST(BoundedQueue, CloseLetsTheRestBePopped) {
  BoundedQueue<int> queue(4);
  EXPECT_TRUE(queue.push(7));
  queue.close();
  queue.close();
  EXPECT_FALSE(queue.try_push(8));
  EXPECT_EQ(queue.pop(), 7);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, CloseWakesBothSides) {
  BoundedQueue<int> full(1), empty(1);
  EXPECT_TRUE(full.push(1));
  auto pushing = std::async(std::launch::async, [&] { return full.push(2); });
  auto popping = std::async(std::launch::async, [&] { return empty.pop(); });
  full.close();
  empty.close();
  EXPECT_FALSE(pushing.get());
  EXPECT_EQ(popping.get(), std::nullopt);
}

TEST(BoundedQueue, NothingIsLostBetweenManyThreads) {
  BoundedQueue<int> queue(8);
  constexpr int kEach = 2'000;
  std::vector<std::thread> producers;
  for (int p = 0; p < 3; ++p) {
    producers.emplace_back([&queue, p] {
      for (int i = 0; i < kEach; ++i) EXPECT_TRUE(queue.push(p * kEach + i));
    });
  }
  std::vector<std::future<std::vector<int>>> consumers;
  for (int c = 0; c < 2; ++c) {
    consumers.push_back(std::async(std::launch::async, [&queue] {
      std::vector<int> seen;
      while (const auto item = queue.pop()) seen.push_back(*item);
      return seen;
    }));
  }
  for (std::thread& producer : producers) producer.join();
  queue.close();
  std::vector<int> count(3 * kEach, 0);
  for (auto& consumer : consumers) {
    for (const int item : consumer.get()) ++count[static_cast<std::size_t>(item)];
  }
  for (const int n : count) ASSERT_EQ(n, 1);
}

}  // namespace
}  // namespace framemill
