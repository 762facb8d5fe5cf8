#include "framemill/cli/compare_chart.h"

#include <algorithm>
#include <regex>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<std::pair<double, double>> dots_of(const std::string& svg) {
  static const std::regex kDot(R"re(<circle class="hit" cx="([-0-9.]+)" cy="([-0-9.]+)")re");
  std::vector<std::pair<double, double>> dots;
  for (std::sregex_iterator it(svg.begin(), svg.end(), kDot), end; it != end; ++it)
    dots.emplace_back(std::stod((*it)[1]), std::stod((*it)[2]));
  return dots;
}

ChartCurve curve_of(const std::vector<std::pair<double, double>>& points) {
  ChartCurve curve{.name = "adaptive"};
  for (const auto& [share, value] : points)
    curve.points.push_back({.share = share, .value = value});
  return curve;
}

TEST(ChartFloor, IsARoundNumberBelowAll) {
  const std::pair<std::vector<double>, double> cases[] = {
      {{}, .99},       {{1}, .99},  {{.995}, .99}, {{.99}, .98}, {{.97, .999}, .95},
      {{.949, 1}, .9}, {{.63}, .6}, {{.61}, .5},   {{.05}, 0},   {{0}, 0},
  };
  for (const auto& [values, want] : cases)
    EXPECT_EQ(chart_floor(values), want) << (values.empty() ? -1 : values[0]);
}

TEST(ShareChart, MoreIsFurtherRightAndFurtherUp) {
  const std::vector<ChartCurve> curves{curve_of({{.5, .99}, {.05, .8}, {.2, .9}})};
  const auto dots = dots_of(draw_share_chart("Recall", curves, .5));
  ASSERT_EQ(dots.size(), 3U);
  EXPECT_TRUE(std::ranges::is_sorted(dots)) << "drawn by ascending share";
  EXPECT_GT(dots[0].second, dots[1].second) << "SVG counts downwards";
  EXPECT_GT(dots[1].second, dots[2].second);
}

TEST(ShareChart, EqualRatiosOfSharesAreEquallyFarApart) {
  const std::vector<ChartCurve> curves{curve_of({{.05, .9}, {.1, .9}, {.2, .9}})};
  const auto dots = dots_of(draw_share_chart("Recall", curves, .5));
  EXPECT_NEAR(dots[1].first - dots[0].first, dots[2].first - dots[1].first, .11);
}

TEST(ShareChart, KeepsEverythingInsideTheAxes) {
  const std::vector<ChartCurve> curves{curve_of({{1e-9, 0}, {.5, .3}, {1, 1}, {1.2, 1.1}})};
  for (const auto& [x, y] : dots_of(draw_share_chart("Recall", curves, .9))) {
    EXPECT_GE(x, 50);
    EXPECT_LE(x, 466);
    EXPECT_GE(y, 34);
    EXPECT_LE(y, 258);
  }
}

TEST(ShareChart, LabelsTheAxesWithRoundShares) {
  const std::vector<ChartCurve> curves{curve_of({{.05, .93}})};
  const std::string svg = draw_share_chart("Recall", curves, .9);
  for (const char* const label :
       {">5\u00A0%<", ">20\u00A0%<", ">100\u00A0%<", ">92\u00A0%<", ">98\u00A0%<"})
    EXPECT_THAT(svg, HasSubstr(label));
  EXPECT_THAT(svg, Not(HasSubstr(">2\u00A0%<"))) << "left of all points";
}

TEST(ShareChart, EscapesAndRepeats) {
  std::vector<ChartCurve> curves{curve_of({{.1, .9}})};
  curves[0].points[0].tip = "</title><script>";
  const std::string svg = draw_share_chart("<b>\"", curves, .5);
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, Not(HasSubstr("<b>")));
  EXPECT_THAT(svg, HasSubstr("&lt;b&gt;&quot;"));
  EXPECT_EQ(svg, draw_share_chart("<b>\"", curves, .5));
}

TEST(ShareChart, TakesNoCurvesAndManyStyles) {
  EXPECT_THAT(draw_share_chart("Recall", {}, 0), HasSubstr("</svg>"));
  std::vector<std::string> markers;
  for (std::size_t style = 0; style < kChartStyles; ++style)
    markers.push_back(draw_chart_marker(style));
  std::ranges::sort(markers);
  EXPECT_EQ(std::ranges::adjacent_find(markers), markers.end());
  EXPECT_EQ(draw_chart_marker(kChartStyles), draw_chart_marker(0));
}

}  // namespace
}  // namespace framemill
