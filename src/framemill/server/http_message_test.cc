#include "framemill/server/http_message.h"

#include <random>

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(ParseTarget, DecodesPathAndQuery) {
  const std::optional<HttpTarget> target =
      parse_target("/api/v1/cameras/gate%2D1?q=a%20b+c&limit=5&empty=&flag&&x=%C3%A4");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/api/v1/cameras/gate-1");
  const std::vector<std::pair<std::string, std::string>> wanted{
      {"q", "a b c"}, {"limit", "5"}, {"empty", ""}, {"flag", ""}, {"x", "\xC3\xA4"}};
  EXPECT_EQ(target->query, wanted);
  EXPECT_EQ(parse_target("/a+b")->path, "/a+b");  // a plus is a plus there
}

TEST(ParseTarget, RefusesWhatIsMalformed) {
  for (const char* target :
       {"", "a", "http://x/", "*", "/%", "/%4", "/%zz", "/%00", "/a%0Ab", "/?a=%0d", "/%ff",
        "/%c0%af", "/%ed%a0%80", "/%f4%90%80%80", "/%e4%bd", "/\x01", "/?\x7f"})
    EXPECT_FALSE(parse_target(target)) << target;
  std::string many = "/?";
  for (int i = 0; i < 65; ++i) many += "a=1&";
  EXPECT_FALSE(parse_target(many));
}

TEST(ParseTarget, TakesAnyBytesWithoutHarm) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string target = "/";
    const auto length = random() % 40;
    for (unsigned i = 0; i < length; ++i) {
      constexpr std::string_view kLikely = "%?&=+/.0aF";
      target.push_back(random() % 3 == 0 ? static_cast<char>(random())
                                         : kLikely[random() % kLikely.size()]);
    }
    const std::optional<HttpTarget> parsed = parse_target(target);
    if (!parsed) continue;
    EXPECT_EQ(parsed->path.front(), '/');
    for (const char c : parsed->path) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  }
}

}  // namespace
}  // namespace framemill
