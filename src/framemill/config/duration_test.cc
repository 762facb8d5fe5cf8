#include "framemill/config/duration.h"

#include <tuple>

#include <gtest/gtest.h>

namespace framemill {
namespace {
using namespace std::chrono_literals;

TEST(ParseDuration, ReadsNumbersWithUnits) {
  const std::tuple<const char*, Duration> cases[] = {
      {"200ms", 200ms}, {"2s", 2s}, {"1.5s", 1500ms}, {"5m", 5min},
      {"24h", 24h},     {"0s", 0s}, {".5s", 500ms},   {"0.25ms", 250us},
  };
  for (const auto& [text, want] : cases) {
    const Result<Duration> got = parse_duration(text);
    ASSERT_TRUE(got) << text << ": " << got.error().message();
    EXPECT_EQ(*got, want) << text;
  }
}

TEST(ParseDuration, RefusesEverythingElse) {
  for (const char* text :
       {"", "40", "s", "-1s", "-0s", "1 s", "1sec", "nans", "infs", "0x10s", "1e3s", "2000000000s",
        "99999999999999999999999s", "1s ", "ms200", "1.5.5s"}) {
    const Result<Duration> got = parse_duration(text);
    ASSERT_FALSE(got) << text;
    EXPECT_EQ(got.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(got.error().message().find("is not a duration"), std::string::npos);
  }
}

TEST(FormatDuration, IsReadBack) {
  EXPECT_EQ(format_duration(200ms), "200ms");
  EXPECT_EQ(format_duration(30s), "30s");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_duration(60s), "60s");
  EXPECT_EQ(format_duration(5min), "5m");
  EXPECT_EQ(format_duration(24h), "24h");
  for (const Duration d : {Duration(1ms), Duration(250us), Duration(90s), Duration(86'400'001ms)})
    EXPECT_EQ(*parse_duration(format_duration(d)), d);
}

}  // namespace
}  // namespace framemill
