#include "framemill/base/normal_score.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

// Values of any table of the standard normal distribution.
TEST(NormalScore, AreThoseOfTheTables) {
  EXPECT_NEAR(normal_quantile(.5), 0, 1e-12);
  EXPECT_NEAR(normal_quantile(.975), 1.959964, 1e-6);
  EXPECT_NEAR(normal_quantile(.05), -1.644854, 1e-6);
  EXPECT_NEAR(normal_probability(0), .5, 1e-12);
  EXPECT_NEAR(normal_probability(1), .841345, 1e-6);
  EXPECT_NEAR(normal_probability(-3), .001350, 1e-6);
}

TEST(NormalScore, EachUndoesTheOther) {
  for (double p = 1e-6; p < 1; p += .001) {
    EXPECT_NEAR(normal_probability(normal_quantile(p)), p, 1e-9);
  }
}

}  // namespace
}  // namespace framemill
