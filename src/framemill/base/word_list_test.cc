#include "framemill/base/word_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SplitWords, LeavesBlanksAndEmptyOnesOut) {
  EXPECT_THAT(split_words("fp16, int8 ,,fp32,"), ElementsAre("fp16", "int8", "fp32"));
  EXPECT_THAT(split_words("two words"), ElementsAre("two words"));
  EXPECT_THAT(split_words(""), IsEmpty());
  EXPECT_THAT(split_words(" , "), IsEmpty());
}

}  // namespace
}  // namespace framemill
