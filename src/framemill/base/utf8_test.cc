#include "framemill/base/utf8.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(Utf8, TakesWhatIsWellFormed) {
  for (const std::string_view text :
       {"", "person", "T\xc3\xbcre", "\xe6\xa4\x85\xe5\xad\x90", "\xf0\x9f\x9a\x97", "a\tb"})
    EXPECT_TRUE(is_utf8(text)) << text;
}

TEST(Utf8, RefusesTheRest) {
  for (const std::string_view text :
       {"T\xfcre", "\xc3", "a\xe6\xa4", "\xf0\x9f\x9a", "\x80", "\xc0\xaf", "\xe0\x80\xaf",
        "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"})
    EXPECT_FALSE(is_utf8(text)) << text;
}

}  // namespace
}  // namespace framemill
