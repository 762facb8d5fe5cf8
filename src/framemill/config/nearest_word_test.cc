#include "framemill/config/nearest_word.h"

#include <array>

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(EditDistance, CountsSingleChanges) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("slo", ""), 3U);
  EXPECT_EQ(edit_distance("slo", "slow"), 1U);
  EXPECT_EQ(edit_distance("sol", "slo"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(NearestWord, SuggestsOnlyWhatIsNear) {
  constexpr std::array<std::string_view, 4> kKeys = {"slo", "rate", "priority", "password"};
  EXPECT_EQ(nearest_word("sol", kKeys), "slo");
  EXPECT_EQ(nearest_word("pasword", kKeys), "password");
  EXPECT_EQ(nearest_word("piroirty", kKeys), "priority");
  EXPECT_EQ(nearest_word("x", kKeys), "");
  EXPECT_EQ(nearest_word("resolution", kKeys), "");
  EXPECT_EQ(did_you_mean("rates", kKeys), R"( did you mean "rate"?)");
  EXPECT_EQ(did_you_mean("zzz", kKeys), "");
}

}  // namespace
}  // namespace framemill
