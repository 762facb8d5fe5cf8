#include "framemill/base/result.h"

#include <memory>

#include <gtest/gtest.h>

namespace framemill {
namespace {

Result<std::unique_ptr<int>> make(bool works) {
  if (!works) return fail(ErrorCode::kNotFound, "there is none");
  return std::make_unique<int>(3);
}

TEST(Result, HoldsAValueOrAnError) {
  Result<std::unique_ptr<int>> good = make(true);
  ASSERT_TRUE(good);
  EXPECT_EQ(**good, 3);
  const std::unique_ptr<int> moved = std::move(*good);
  EXPECT_EQ(*moved, 3);

  const Result<std::unique_ptr<int>> bad = make(false);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(bad.error().at("a.yaml:3").message(), "a.yaml:3: there is none");
}

TEST(Result, OfVoidIsSuccessByDefault) {
  EXPECT_TRUE(Result<void>());
  const Result<void> bad = fail(ErrorCode::kUnavailable, "later");
  EXPECT_FALSE(bad);
  EXPECT_EQ(to_string(bad.error().code()), "unavailable");
}

TEST(ResultDeathTest, TheWrongSideIsOurBug) {
  const Result<int> bad = fail(ErrorCode::kInternal, "x");
  EXPECT_DEATH((void)bad.value(), "CHECK failed");
  const Result<int> good = 1;
  EXPECT_DEATH((void)good.error(), "CHECK failed");
}

}  // namespace
}  // namespace framemill
