#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// A measured point: `share` of the frames inferred, 0 < share <= 1, and what it bought, 0..1.
struct ChartPoint {
  double share = 1;
  double value = 1;
  std::string tip;  ///< plain text, shown where the pointer is
  bool is_marked = false;
};

/// The points of one policy, joined in the order of their share.
struct ChartCurve {
  std::string name;       ///< plain text
  std::size_t style = 0;  ///< colour and marker; kChartStyles of them, then again from the first
  std::vector<ChartPoint> points;
};
inline constexpr std::size_t kChartStyles = 6;

/// What a chart's value axis begins at, so that all of `values` lie above: a round number.
[[nodiscard]] double chart_floor(std::span<const double> values);

/// An inline SVG of `title` over the share of frames inferred (logarithmic), values from `floor`
/// (< 1) to 1, full inference as a ring at 100 %. Colours come from the page's classes `s0`, `s1`,
/// ... All text is escaped. Values below `floor` are drawn on the lower edge. The same input gives
/// the same bytes.
[[nodiscard]] std::string draw_share_chart(std::string_view title,
                                           std::span<const ChartCurve> curves, double floor);

/// The marker of a style as an inline SVG of 14 px, for legends.
[[nodiscard]] std::string draw_chart_marker(std::size_t style);

}  // namespace framemill
