#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

struct BenchChartPoint {
  double x = 0;
  double y = 0;     ///< >= 0
  std::string tip;  ///< plain text, shown where the pointer is
  bool is_marked = false;
};
struct BenchChartCurve {
  std::size_t style = 0;  ///< see kChartStyles in compare_chart.h
  std::vector<BenchChartPoint> points;
  bool has_dots = true;  ///< else a bare line, for many points
};

/// How the x axis runs.
struct BenchChartAxis {
  std::string_view name;      ///< below the axis
  std::vector<double> ticks;  ///< ascending, at least one; the axis reaches from first to last
  bool is_logarithmic = false;
};

/// Round numbers from 0 to at least `most` (> 0), 3 to 6 steps. Pure.
[[nodiscard]] std::vector<double> round_ticks(double most);

/// An inline SVG of curves over `x`; y runs from 0, `y_unit` stands behind its figures. Colours
/// come from the page's classes. All text is escaped. The same input gives the same bytes.
[[nodiscard]] std::string draw_bench_chart(std::string_view title, const BenchChartAxis& x,
                                           std::string_view y_unit,
                                           std::span<const BenchChartCurve> curves);

}  // namespace framemill
