#include "framemill/base/growing_list.h"

#include <atomic>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(GrowingList, ElementsKeepPlaceAndAddress) {
  GrowingList<std::string> list;
  EXPECT_EQ(list.append("first"), 0U);
  const std::string& first = list[0];
  for (int i = 1; i < 10'000; ++i) list.append(std::to_string(i));
  EXPECT_EQ(&first, &list[0]);
  EXPECT_EQ(first, "first");
  EXPECT_EQ(list[9'999], "9999");
  EXPECT_EQ(list.size(), 10'000U);
}

TEST(GrowingList, IsReadWhileItGrows) {
  GrowingList<std::string> list;
  list.append("0");
  std::atomic<bool> is_over{false};
  std::thread reader([&] {
    while (!is_over) {
      const std::size_t last = list.size() - 1;
      ASSERT_EQ(list[last], std::to_string(last));
    }
  });
  for (int i = 1; i < 20'000; ++i) list.append(std::to_string(i));
  is_over = true;
  reader.join();
}

}  // namespace
}  // namespace framemill
