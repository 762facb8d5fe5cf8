#include "framemill/server/access.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

Access with_tokens() {
  return Access(
      {{"admin", Role::kAdmin, "admin-secret-0123"}, {"wall", Role::kView, "view-secret-01234"}},
      {"Vision.Plant.example"});
}

TEST(EqualsInConstantTime, IsEquality) {
  const char* const texts[] = {"", "a", "ab", "abc", "abcabc", "abd", "Abc", "abcabd"};
  for (const char* secret : texts)
    for (const char* presented : texts)
      EXPECT_EQ(equals_in_constant_time(secret, presented),
                std::string_view(secret) == presented && *secret != 0)
          << secret << " " << presented;
}

TEST(DecodeBase64Url, DecodesWhatIsOneAndNothingElse) {
  EXPECT_EQ(decode_base64url("YWRtaW4tc2VjcmV0LTAxMjM"), "admin-secret-0123");
  EXPECT_EQ(decode_base64url("_-8"), "\xff\xef");
  EXPECT_EQ(decode_base64url(""), "");
  EXPECT_EQ(decode_base64url("YWR="), "");
  EXPECT_EQ(decode_base64url("YW R"), "");
}

TEST(Access, KnowsTokensByTheirText) {
  const Access access = with_tokens();
  EXPECT_EQ(access.who_is("Bearer admin-secret-0123").role, Role::kAdmin);
  EXPECT_EQ(access.who_is("bearer view-secret-01234").role, Role::kView);
  EXPECT_EQ(access.who_is("bearer view-secret-01234").name, "wall");
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer admin-secret-012", "admin-secret-0123",
                            "Bearer admin-secret-0123 ",
                            "Basic YWRtaW4=", "Bearer admin-secret-0123admin-secret-0123"}) {
    EXPECT_EQ(access.who_is(wrong).role, Role::kNone) << wrong;
  }
}

TEST(Access, KnowsTokensOfBrowsersByTheSubprotocol) {
  const Access access = with_tokens();
  EXPECT_EQ(access.who_is_by_protocols("framemill.v1, bearer.YWRtaW4tc2VjcmV0LTAxMjM").role,
            Role::kAdmin);
  EXPECT_EQ(access.who_is_by_protocols("framemill.v1").role, Role::kNone);
  EXPECT_EQ(access.who_is_by_protocols("bearer.").role, Role::kNone);
  EXPECT_EQ(access.who_is_by_protocols("bearer.YWRtaW4").role, Role::kNone);
}

TEST(Access, WithoutTokensOnlyLoopbackNamesAreOurs) {
  const Access open({}, {"vision.plant.example"});
  EXPECT_EQ(open.who_is("").role, Role::kAdmin);
  for (const char* host :
       {"localhost", "LOCALHOST:8460", "127.0.0.1:8460", "[::1]:8460", "vision.plant.example:443"})
    EXPECT_TRUE(open.is_host_allowed(host)) << host;
  for (const char* host : {"", "evil.example", "evil.example:8460", "localhost.evil.example",
                           "127.0.0.1.evil.example", "10.0.0.5:8460"})
    EXPECT_FALSE(open.is_host_allowed(host)) << host;
  EXPECT_TRUE(with_tokens().is_host_allowed("whatever.example"));
}

TEST(Access, OnlyPagesOfThisServerMayAsk) {
  const Access access = with_tokens();
  EXPECT_TRUE(access.is_origin_allowed("", "127.0.0.1:8460"));
  EXPECT_TRUE(access.is_origin_allowed("http://127.0.0.1:8460", "127.0.0.1:8460"));
  EXPECT_TRUE(access.is_origin_allowed("https://vision.plant.example", "127.0.0.1:8460"));
  for (const char* origin : {"null", "http://127.0.0.1:8461", "http://127.0.0.1",
                             "https://evil.example", "http://127.0.0.1:8460.evil.example"})
    EXPECT_FALSE(access.is_origin_allowed(origin, "127.0.0.1:8460")) << origin;
}

}  // namespace
}  // namespace framemill
