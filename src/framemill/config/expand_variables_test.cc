#include "framemill/config/expand_variables.h"

#include <tuple>

#include <gtest/gtest.h>

namespace framemill {
namespace {

std::optional<std::string> fake_environment(const std::string& name) {
  if (name == "USER_1") return "vi:ewer";
  if (name == "PASSWORD") return "p@ss/${USER_1}#$$";
  if (name == "HOST") return "10.0.0.5";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

TEST(ExpandVariables, FollowsTheTable) {
  const std::tuple<const char*, const char*> cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"${HOST}", "10.0.0.5"},
      {"<${HOST}>${EMPTY}", "<10.0.0.5>"},
      {"${PASSWORD}", "p@ss/${USER_1}#$$"},  // not expanded again
      {"$$", "$"},
      {"$${HOST}", "${HOST}"},
      {"$$${HOST}", "$10.0.0.5"},
      {"pa$word$", "pa$word$"},
      {"rtsp://${USER_1}:${PASSWORD}@${HOST}/${HOST}",
       "rtsp://vi%3Aewer:p%40ss%2F%24%7BUSER_1%7D%23%24%24@10.0.0.5/10.0.0.5"},
      {"rtsp://${HOST}/${PASSWORD}", "rtsp://10.0.0.5/p@ss/${USER_1}#$$"},
      {"rtsp://u:p$$1@h", "rtsp://u:p$1@h"},
  };
  for (const auto& [text, want] : cases) {
    const Result<std::string> got = expand_variables(text, fake_environment);
    ASSERT_TRUE(got) << text << ": " << got.error().message();
    EXPECT_EQ(*got, want) << text;
  }
}

TEST(ExpandVariables, NamesWhatIsMissing) {
  const Result<std::string> unset = expand_variables("${HOST}${GATE1_PASSWORD}", fake_environment);
  ASSERT_FALSE(unset);
  EXPECT_NE(unset.error().message().find("GATE1_PASSWORD is not set"), std::string::npos);
  for (const char* text : {"${", "${}", "${HOST", "${A B}", "${1A}", "a${-}"})
    EXPECT_FALSE(expand_variables(text, fake_environment)) << text;
}

}  // namespace
}  // namespace framemill
