// SPDX-License-Identifier: Apache-2.0
#include "base/bounded_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace truekeel {
namespace {

TEST(BoundedQueue, RefusesWhenFullAndLeavesTheItem) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  EXPECT_TRUE(queue.try_push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(queue.try_push(std::move(second)));
  EXPECT_NE(second, nullptr);
}

TEST(BoundedQueue, CloseWakesAWaiterAndKeepsItems) {
  BoundedQueue<int> queue(2);
  ASSERT_TRUE(queue.try_push(7));
  std::thread closer([&] { queue.close(); });
  EXPECT_EQ(queue.pop(), 7);
  EXPECT_EQ(queue.pop(), std::nullopt);
  EXPECT_FALSE(queue.try_push(8));
  closer.join();
}

TEST(BoundedQueue, WhatIsTakenOutLeavesRoomAndTheOrder) {
  BoundedQueue<std::unique_ptr<int>> queue(5);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(queue.try_push(std::make_unique<int>(i)));
  const auto odd = queue.take_if([](const std::unique_ptr<int>& item) { return *item % 2 == 1; });
  ASSERT_EQ(odd.size(), 2u);
  EXPECT_EQ(*odd[0], 1);
  EXPECT_EQ(*odd[1], 3);
  EXPECT_TRUE(queue.try_push(std::make_unique<int>(5)));
  for (const int left : {0, 2, 4, 5}) EXPECT_EQ(**queue.try_pop(), left);
}

}  // namespace
}  // namespace truekeel
