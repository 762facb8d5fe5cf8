#include "framemill/server/query.h"

#include <gtest/gtest.h>

#include "framemill/engine/answer_json.h"

namespace framemill {
namespace {

HttpRequest asks(std::vector<std::pair<std::string, std::string>> query) {
  HttpRequest request;
  request.query = std::move(query);
  return request;
}

TEST(Query, TakesWhatIsRight) {
  const HttpRequest request = asks(
      {{"limit", "5"}, {"camera", "gate-1"}, {"boxes", "true"}, {"state", "up"}, {"cursor", "77"}});
  Query query(request);
  EXPECT_EQ(query.limit(), 5U);
  EXPECT_EQ(query.id("camera"), "gate-1");
  EXPECT_TRUE(query.flag("boxes"));
  EXPECT_EQ(query.choice("state", "up|down"), "up");
  EXPECT_EQ(query.cursor(), 77);
  EXPECT_EQ(query.number("width", 64, 1920, 640), 640);
  EXPECT_FALSE(query.error());
}

TEST(Query, RefusesWhatIsNot) {
  const std::pair<std::string, std::string> wrong[] = {
      {"limit", "0"},   {"limit", "1001"}, {"limit", ""},     {"limit", "5x"},
      {"limit", "1e2"}, {"limit", "-1"},   {"limit", " 5"},   {"limit", "99999999999999999999"},
      {"cursor", "x"},  {"cursor", "-1"},  {"boxes", "1"},    {"boxes", "True"},
      {"camera", ""},   {"camera", "a/b"}, {"camera", "a b"}, {"state", "UP"}};
  for (const auto& [key, value] : wrong) {
    const HttpRequest request = asks({{key, value}});
    Query query(request);
    (void)query.limit();
    (void)query.cursor();
    (void)query.flag("boxes");
    (void)query.id("camera");
    (void)query.choice("state", "up|down");
    ASSERT_TRUE(query.error()) << key << "=" << value;
    EXPECT_TRUE(query.error()->message().starts_with(key));
  }
  const HttpRequest twice = asks({{"limit", "5"}, {"limit", "6"}});
  Query query(twice);
  (void)query.limit();
  EXPECT_TRUE(query.error());
}

TEST(ParseWallTime, ReadsWhatIsWritten) {
  for (const char* text : {"2026-01-01T08:00:04.004Z", "1970-01-01T00:00:00.000Z",
                           "2024-02-29T23:59:59.999Z", "2100-12-31T12:00:00.500Z"}) {
    const std::optional<WallTime> time = parse_wall_time(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(format_wall_time(*time), text);
  }
  EXPECT_EQ(format_wall_time(*parse_wall_time("2026-01-01T08:00:04+01:30")),
            "2026-01-01T06:30:04.000Z");
  EXPECT_EQ(format_wall_time(*parse_wall_time("2026-01-01T08:00:04-01:00")),
            "2026-01-01T09:00:04.000Z");
}

TEST(ParseWallTime, RefusesWhatIsNone) {
  for (const char* text :
       {"", "now", "2026-01-01", "2026-01-01T08:00", "2026-01-01T08:00:00", "2026-13-01T08:00:00Z",
        "2026-02-29T08:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T08:60:00Z",
        "2026-01-01T08:00:00.Z", "2026-01-01T08:00:00Zx", "2026-01-01T08:00:00+1",
        "9999-01-01T08:00:00Z", "2026-01-01T08:00:00.0000000000Z", "-026-01-01T08:00:00Z"})
    EXPECT_FALSE(parse_wall_time(text)) << text;
}

}  // namespace
}  // namespace framemill
