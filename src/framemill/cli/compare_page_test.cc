#include "framemill/cli/compare_page.h"

#include <map>
#include <regex>
#include <set>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/cli/compare_page_assets.h"
#include "framemill/cli/compare_sample_for_test.h"

namespace framemill {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Reads `page` as strictly as no browser would: each tag is closed in order, attributes are quoted
/// and known, < > stand nowhere else. Returns how often each element occurs; adds a failure where
/// the page is not well formed.
std::map<std::string, int> elements_of(std::string_view page) {
  const std::set<std::string> empty{"meta", "br", "wbr", "input"};
  const std::set<std::string> attributes{
      "aria-hidden", "aria-label", "checked", "class",    "content",
      "cx",          "cy",         "d",       "data-run", "data-v",
      "for",         "height",     "hidden",  "href",     "http-equiv",
      "id",          "charset",    "lang",    "name",     "preserveAspectRatio",
      "r",           "role",       "scope",   "selected", "tabindex",
      "text-anchor", "type",       "value",   "viewBox",  "width",
      "x",           "y"};
  static const std::regex kTag(R"re(^<(/?)([a-zA-Z0-9]+)((?: [-a-zA-Z]+(?:="[^"<>]*")?)*)(/?)>)re");
  static const std::regex kAttribute(R"re( ([-a-zA-Z]+)(="[^"]*")?)re");
  std::map<std::string, int> counts;
  std::vector<std::string> open;
  constexpr std::string_view kDoctype = "<!doctype html>";
  EXPECT_TRUE(page.starts_with(kDoctype));
  page.remove_prefix(kDoctype.size());
  while (true) {
    const std::size_t at = page.find_first_of("<>");
    if (at == page.npos) break;
    page.remove_prefix(at);
    std::cmatch tag;
    // The pictures' data make attributes longer than std::regex can take.
    const std::string head(page.substr(0, page.find('>') + 1));
    if (!std::regex_search(head.c_str(), tag, kTag)) {
      ADD_FAILURE() << "no tag: " << page.substr(0, 120);
      break;
    }
    const std::string name = tag[2];
    page.remove_prefix(head.size());
    if (tag[1] == "/") {
      if (open.empty() || open.back() != name) {
        ADD_FAILURE() << "</" << name << "> closes " << (open.empty() ? "nothing" : open.back());
        break;
      }
      open.pop_back();
      continue;
    }
    ++counts[name];
    const std::string list = tag[3];
    for (std::sregex_iterator it(list.begin(), list.end(), kAttribute), end; it != end; ++it)
      EXPECT_TRUE(attributes.contains((*it)[1])) << (*it)[1] << " in " << head;
    if (name == "script" || name == "style") {
      // Ours alone, word by word.
      const std::string_view own = name == "script" ? kComparePageScript : kComparePageStyle;
      EXPECT_TRUE(page.starts_with(own)) << name;
      page.remove_prefix(std::min(own.size(), page.size()));
      open.push_back(name);
    } else if (tag[4] != "/" && !empty.contains(name)) {
      open.push_back(name);
    }
  }
  EXPECT_TRUE(open.empty());
  return counts;
}

TEST(ComparePage, SaysWhatIsSavedAtWhatCost) {
  const std::string page = to_compare_page(make_comparison_for_test("gate-"));
  EXPECT_THAT(page, HasSubstr("<h1>80\u00A0% less inference keeps 98.3\u00A0% of the detections"));
  EXPECT_THAT(page, HasSubstr("6 clips, 720 sampled frames, 600 sure detections"));
  EXPECT_THAT(page, HasSubstr("3.3 ms in place of 15.2 ms"));
  const std::map<std::string, int> elements = elements_of(page);
  EXPECT_EQ(elements.at("script"), 1);
  EXPECT_EQ(elements.at("style"), 1);
  EXPECT_EQ(elements.at("figure"), 3);
  EXPECT_EQ(elements.at("image"), 1) << "of three misses one has a picture";
  EXPECT_EQ(elements.at("tbody"), 1 + 5) << "one for all runs, and one a run for the clips";
}

TEST(ComparePage, SaysSoWhereNoRunIsTrueEnough) {
  Comparison comparison = make_comparison_for_test("gate-");
  comparison.context.fidelity = .995;
  EXPECT_THAT(to_compare_page(comparison),
              HasSubstr("<h1>No saving here keeps 99.5\u00A0%: 80\u00A0% less inference keeps"));
}

TEST(ComparePage, NeverRoundsUpToAll) {
  Comparison comparison = make_comparison_for_test("gate-");
  comparison.runs[0].pooled.recall = .99996;
  EXPECT_THAT(to_compare_page(comparison), HasSubstr("keeps 99.99\u00A0% of the detections"));
  comparison.runs[0].pooled.recall = 1;
  EXPECT_THAT(to_compare_page(comparison), HasSubstr("keeps 100.0\u00A0% of the detections"));
}

TEST(ComparePage, EscapesEveryTextFromOutside) {
  for (const char* const hostile :
       {"</td></script><script>alert(1)</script>", "\" onmouseover=\"alert(1)", "'><img src=x>",
        "</title></style><style>*{display:none}", "]]><!-- ", "\xFF\xC0\xBC script>", "&#60;b&#62;",
        "javascript:alert(1)", "{} {0} %s"}) {
    const Comparison comparison = make_comparison_for_test(hostile);
    const std::string page = to_compare_page(comparison);
    const std::map<std::string, int> elements = elements_of(page);  // names every attribute, too
    EXPECT_EQ(elements.at("script"), 1) << hostile;
    EXPECT_EQ(elements.at("style"), 1) << hostile;
    EXPECT_FALSE(elements.contains("img")) << hostile;
    EXPECT_THAT(page, Not(HasSubstr("&#60;b"))) << "a reference from outside is no reference";
    EXPECT_EQ(page.find('\xFF'), page.npos);
  }
}

TEST(ComparePage, LoadsNothingFromAnywhere) {
  const std::string page = to_compare_page(make_comparison_for_test("gate-"));
  static const std::regex kAddress(R"re((?:href|src)="([^"]{0,15}))re");
  int addresses = 0;
  for (std::sregex_iterator it(page.begin(), page.end(), kAddress), end; it != end; ++it) {
    const std::string address = (*it)[1];
    EXPECT_TRUE(address.starts_with("#") || address.starts_with("data:image/jpeg")) << address;
    ++addresses;
  }
  EXPECT_EQ(addresses, 2) << "the picture, and its use by the magnifier";
  EXPECT_EQ(page.find("http://"), page.npos);
  EXPECT_EQ(page.find("https://"), page.npos);
  EXPECT_EQ(page.find("url("), page.npos);
  EXPECT_EQ(page.find("@import"), page.npos);
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
}

TEST(ComparePage, GivesTheSameBytesForTheSameComparison) {
  EXPECT_EQ(to_compare_page(make_comparison_for_test("x")),
            to_compare_page(make_comparison_for_test("x")));
}

TEST(ComparePage, StaysWholeWhereThereIsLittleToShow) {
  Comparison none;
  elements_of(to_compare_page(none));

  Comparison baseline_only = make_comparison_for_test("x");
  baseline_only.runs = {baseline_only.runs[2]};
  baseline_only.headline.reset();
  baseline_only.misses.clear();
  baseline_only.context = {};
  const std::string page = to_compare_page(baseline_only);
  elements_of(page);
  EXPECT_THAT(page, Not(HasSubstr("<figure")));
  EXPECT_THAT(page, Not(HasSubstr("<select")));

  Comparison no_baseline = make_comparison_for_test("x");
  for (RunFigures& run : no_baseline.runs) {
    if (run.policy == "hold") run.policy = "full";
    run.against_baseline.reset();
    for (ClipFigures& clip : run.clips) clip.baseline.reset();
  }
  elements_of(to_compare_page(no_baseline));
}

TEST(ComparePage, SaysNothingOfClipsWithNothingToCount) {
  const std::string page = to_compare_page(make_comparison_for_test("gate-"));
  const std::size_t row = page.find("5</th><td data-v=\"0\">0</td>");
  ASSERT_NE(row, page.npos);
  EXPECT_THAT(page.substr(row, 120), HasSubstr("<td data-v=\"-1\">\u2013</td>"));
}

TEST(ComparePage, MagnifiesInsideThePicture) {
  Comparison comparison = make_comparison_for_test("x");
  for (const Box box : {Box{0, 0, 4, 4}, Box{630, 350, 640, 360}, Box{0, 0, 640, 360},
                        Box{300, 0, 310, 360}, Box{0, 100, 640, 110}}) {
    for (WorstMiss& miss : comparison.misses) miss.reference[miss.missed].box = box;
    const std::string page = to_compare_page(comparison);
    static const std::regex kZoom(
        R"re(class="zoom" viewBox="([-0-9.]+) ([-0-9.]+) ([-0-9.]+) ([-0-9.]+)")re");
    std::smatch zoom;
    if (!std::regex_search(page, zoom, kZoom)) continue;  // large enough without
    EXPECT_GE(std::stod(zoom[1]), 0);
    EXPECT_GE(std::stod(zoom[2]), 0);
    EXPECT_LE(std::stod(zoom[1]) + std::stod(zoom[3]), 640.11);
    EXPECT_LE(std::stod(zoom[2]) + std::stod(zoom[4]), 360.11);
  }
}

}  // namespace
}  // namespace framemill
