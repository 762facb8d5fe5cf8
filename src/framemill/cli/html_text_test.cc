#include "framemill/cli/html_text.h"

#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(EscapeHtml, FollowsTheTable) {
  const std::tuple<const char*, std::string_view, std::string_view> cases[] = {
      {"plain", "gate-1", "gate-1"},
      {"a tag", "</td><script>alert(1)</script>",
       "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;"},
      {"out of an attribute", "\" onload='x", "&quot; onload=&#39;x"},
      {"a reference is no reference", "&lt;", "&amp;lt;"},
      {"UTF-8 stays", "Tür \xE2\x82\xAC \xF0\x9F\x9A\x97", "Tür \xE2\x82\xAC \xF0\x9F\x9A\x97"},
      {"control characters", std::string_view("a\0b\x1B\x7F", 5),
       "a\xEF\xBF\xBD"
       "b\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"a stray byte", "a\x80<", "a\xEF\xBF\xBD&lt;"},
      {"a cut character does not swallow what follows", "\xE2\x82<",
       "\xEF\xBF\xBD\xEF\xBF\xBD&lt;"},
      {"an overlong <", "\xC0\xBC", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"half a surrogate pair", "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"beyond Unicode", "\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"tab and newline stay", "a\tb\nc", "a\tb\nc"},
  };
  for (const auto& [name, text, want] : cases) EXPECT_EQ(escape_html(text), want) << name;
}

TEST(EncodeBase64, FollowsTheTestVectorsOfRfc4648) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
  };
  for (const auto& [text, want] : cases)
    EXPECT_EQ(encode_base64(std::vector<std::uint8_t>(text.begin(), text.end())), want);
  EXPECT_EQ(encode_base64(std::vector<std::uint8_t>{0xFB, 0xFF, 0xFE}), "+//+");
}

}  // namespace
}  // namespace framemill
