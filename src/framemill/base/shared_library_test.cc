#include "framemill/base/shared_library.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(LoadSharedLibrary, FindsFunctionsOfALibraryThatIsThere) {
  const Result<void*> math = load_shared_library("libm.so.6");
  ASSERT_TRUE(math) << math.error().message();
  const auto cosine = reinterpret_cast<double (*)(double)>(find_symbol(*math, "cos"));
  ASSERT_NE(cosine, nullptr);
  EXPECT_EQ(cosine(0), 1);
  EXPECT_EQ(find_symbol(*math, "framemill_has_no_such_function"), nullptr);
}

TEST(LoadSharedLibrary, SaysWhyOneDoesNotLoad) {
  const Result<void*> gone = load_shared_library("libframemill-none.so.7");
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(gone.error().message(), testing::HasSubstr("libframemill-none.so.7"));
  EXPECT_THAT(gone.error().message(), testing::HasSubstr("No such file"));
}

}  // namespace
}  // namespace framemill
