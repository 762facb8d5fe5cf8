#include "framemill/cli/bench_chart.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/cli/html_text.h"

namespace framemill {
namespace {

// In units of the view box; the same as the charts of `compare`, so that both pages look alike.
constexpr double kWidth = 480, kHeight = 310;
constexpr double kLeft = 54, kRight = 466, kTop = 34, kBottom = 258;

class Axes {
 public:
  Axes(const BenchChartAxis& x, double y_most) : x_(x), y_most_(y_most) {}
  [[nodiscard]] double x(double value) const {
    const double least = scaled(x_.ticks.front());
    const double span = scaled(x_.ticks.back()) - least;
    const double at = span > 0 ? (scaled(value) - least) / span : .5;
    return kLeft + std::clamp(at, 0.0, 1.0) * (kRight - kLeft);
  }
  [[nodiscard]] double y(double value) const {
    return kBottom - std::clamp(value / y_most_, 0.0, 1.0) * (kBottom - kTop);
  }

 private:
  [[nodiscard]] double scaled(double value) const {
    return x_.is_logarithmic ? std::log2(value) : value;
  }
  const BenchChartAxis& x_;
  double y_most_;
};

void append_grid(std::string& out, const Axes& axes, const BenchChartAxis& x,
                 const std::vector<double>& y_ticks, std::string_view y_unit) {
  auto end = std::back_inserter(out);
  for (const double value : y_ticks) {
    fmt::format_to(end, R"(<path class="grid" d="M{} {:.1f}H{}"/>)", kLeft, axes.y(value), kRight);
    fmt::format_to(end, R"(<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{:g}{}</text>)",
                   kLeft - 7, axes.y(value) + 4, value, escape_html(y_unit));
  }
  for (const double value : x.ticks) {
    fmt::format_to(end, R"(<path class="grid" d="M{0:.1f} {1}V{2}"/>)", axes.x(value), kTop,
                   kBottom);
    fmt::format_to(end, R"(<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{:g}</text>)",
                   axes.x(value), kBottom + 19, value);
  }
  fmt::format_to(end, R"(<path class="axis" d="M{} {}H{}"/>)", kLeft, kBottom, kRight);
  fmt::format_to(end, R"(<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>)",
                 (kLeft + kRight) / 2, kBottom + 40, escape_html(x.name));
}

void append_curve(std::string& out, const BenchChartCurve& curve, const Axes& axes) {
  auto end = std::back_inserter(out);
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    if (i == 0) fmt::format_to(end, R"(<path class="curve s{}" d="M)", curve.style);
    fmt::format_to(end, "{}{:.1f} {:.1f}", i == 0 ? "" : "L", axes.x(curve.points[i].x),
                   axes.y(curve.points[i].y));
  }
  if (!curve.points.empty()) out += "\"/>";
  for (const BenchChartPoint& point : curve.points) {
    if (!curve.has_dots && point.tip.empty()) continue;
    const double x = axes.x(point.x);
    const double y = axes.y(point.y);
    fmt::format_to(end, R"(<g class="point" tabindex="0"><title>{}</title>)",
                   escape_html(point.tip));
    if (point.is_marked)
      fmt::format_to(end, R"(<circle class="mark s{}" cx="{:.1f}" cy="{:.1f}" r="10"/>)",
                     curve.style, x, y);
    fmt::format_to(end, R"(<circle class="hit" cx="{:.1f}" cy="{:.1f}" r="12"/>)", x, y);
    fmt::format_to(end, R"(<circle class="dot s{}" cx="{:.1f}" cy="{:.1f}" r="4.6"/></g>)",
                   curve.style, x, y);
  }
}

}  // namespace

std::vector<double> round_ticks(double most) {
  CHECK(most > 0 && std::isfinite(most));
  const double power = std::pow(10, std::floor(std::log10(most)) - 1);
  double step = power;
  for (const double factor : {1.0, 2.0, 5.0, 10.0, 20.0, 50.0}) {
    step = factor * power;
    if (most / step <= 6) break;
  }
  std::vector<double> ticks;
  for (int i = 0;; ++i) {
    ticks.push_back(i * step);
    if (ticks.back() >= most * (1 - 1e-9)) return ticks;
  }
}

std::string draw_bench_chart(std::string_view title, const BenchChartAxis& x,
                             std::string_view y_unit, std::span<const BenchChartCurve> curves) {
  CHECK(!x.ticks.empty());
  double most = 0;
  for (const BenchChartCurve& curve : curves) {
    for (const BenchChartPoint& point : curve.points) most = std::max(most, point.y);
  }
  const std::vector<double> ticks = round_ticks(most > 0 ? most : 1);
  const Axes axes(x, ticks.back());
  std::string out =
      fmt::format(R"(<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">)", kWidth,
                  kHeight, escape_html(fmt::format("{} over {}", title, x.name)));
  fmt::format_to(std::back_inserter(out), R"(<text class="name" x="{}" y="17">{}</text>)", 4,
                 escape_html(title));
  append_grid(out, axes, x, ticks, y_unit);
  for (const BenchChartCurve& curve : curves) append_curve(out, curve, axes);
  out += "</svg>";
  return out;
}

}  // namespace framemill
