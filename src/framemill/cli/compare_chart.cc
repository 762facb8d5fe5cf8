#include "framemill/cli/compare_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/cli/html_text.h"

namespace framemill {
namespace {

// In units of the view box, which is as wide as a phone: what is readable there is so everywhere.
constexpr double kWidth = 480, kHeight = 310;
constexpr double kLeft = 50, kRight = 466, kTop = 34, kBottom = 258;
constexpr std::array kShareTicks{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1.0};

/// "5 %", "0.5 %", "97.5 %": as few digits as tell it.
std::string percent(double share) { return fmt::format("{:.4g}\u00A0%", share * 100); }

class Axes {
 public:
  Axes(double share_least, double floor) : share_least_(share_least), floor_(floor) {}
  [[nodiscard]] double x(double share) const {
    const double at = std::log(std::clamp(share, share_least_, 1.0) / share_least_);
    return kLeft + at / -std::log(share_least_) * (kRight - kLeft);
  }
  [[nodiscard]] double y(double value) const {
    const double at = (std::clamp(value, floor_, 1.0) - floor_) / (1 - floor_);
    return kBottom - at * (kBottom - kTop);
  }

 private:
  double share_least_;
  double floor_;
};

double share_least(std::span<const ChartCurve> curves) {
  double least = .5;
  for (const ChartCurve& curve : curves) {
    for (const ChartPoint& point : curve.points) least = std::min(least, point.share);
  }
  return std::max(kShareTicks.front(), least * .85);
}

std::string marker(std::size_t style, double x, double y, double size, std::string_view classes) {
  switch (style % kChartStyles) {
    case 0:
      return fmt::format(R"(<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>)", classes, x,
                         y, size);
    case 1:
      return fmt::format(
          R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>)", classes,
          x - size * .88, y - size * .88, size * 1.76, size * 1.76);
    case 2:
      return fmt::format(R"(<path class="{}" d="M{:.1f} {:.1f}L{:.1f} {:.1f}H{:.1f}Z"/>)", classes,
                         x, y - size * 1.2, x + size * 1.15, y + size * .85, x - size * 1.15);
    case 3:
      return fmt::format(
          R"(<path class="{}" d="M{:.1f} {:.1f}l{:.1f} {:.1f}l{:.1f} {:.1f}l{:.1f} {:.1f}Z"/>)",
          classes, x, y - size * 1.25, size * 1.25, size * 1.25, -size * 1.25, size * 1.25,
          -size * 1.25, -size * 1.25);
    case 4:
      return fmt::format(R"(<path class="{}" d="M{:.1f} {:.1f}L{:.1f} {:.1f}H{:.1f}Z"/>)", classes,
                         x, y + size * 1.2, x + size * 1.15, y - size * .85, x - size * 1.15);
    default:
      return fmt::format(
          R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>)", classes,
          x - size * 1.3, y - size * .6, size * 2.6, size * 1.2);
  }
}

void append_grid(std::string& out, const Axes& axes, double least, double floor) {
  auto end = std::back_inserter(out);
  double step = .1;
  for (const double finer : {.05, .02, .01, .005, .002, .001}) {
    if ((1 - floor) / step < 3.5) step = finer;
  }
  // Counted from 1 downwards, so that rounding cannot lose the topmost line.
  for (int i = 0; 1 - i * step > floor - step / 2; ++i) {
    const double value = 1 - i * step;
    fmt::format_to(end, R"(<path class="grid" d="M{} {:.1f}H{}"/>)", kLeft, axes.y(value), kRight);
    fmt::format_to(end, R"(<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>)",
                   kLeft - 7, axes.y(value) + 4, percent(value));
  }
  for (const double share : kShareTicks) {
    if (share < least) continue;
    fmt::format_to(end, R"(<path class="grid" d="M{0:.1f} {1}V{2}"/>)", axes.x(share), kTop,
                   kBottom);
    fmt::format_to(end, R"(<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>)",
                   axes.x(share), kBottom + 19, percent(share));
  }
  fmt::format_to(end, R"(<path class="axis" d="M{} {}H{}"/>)", kLeft, kBottom, kRight);
  fmt::format_to(end, R"(<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">)",
                 (kLeft + kRight) / 2, kBottom + 40);
  out += "share of frames inferred (logarithmic)</text>";
}

void append_curve(std::string& out, const ChartCurve& curve, const Axes& axes) {
  std::vector<const ChartPoint*> points;
  for (const ChartPoint& point : curve.points) points.push_back(&point);
  std::ranges::stable_sort(points, {}, [](const ChartPoint* point) { return point->share; });
  const std::string style = fmt::format("s{}", curve.style % kChartStyles);
  auto end = std::back_inserter(out);
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i == 0) fmt::format_to(end, R"(<path class="curve {}" d="M)", style);
    fmt::format_to(end, "{}{:.1f} {:.1f}", i == 0 ? "" : "L", axes.x(points[i]->share),
                   axes.y(points[i]->value));
  }
  if (!points.empty()) out += "\"/>";
  for (const ChartPoint* const point : points) {
    const double x = axes.x(point->share);
    const double y = axes.y(point->value);
    fmt::format_to(end, R"(<g class="point" tabindex="0"><title>{}</title>)",
                   escape_html(point->tip));
    if (point->is_marked)
      fmt::format_to(end, R"(<circle class="mark {}" cx="{:.1f}" cy="{:.1f}" r="10"/>)", style, x,
                     y);
    fmt::format_to(end, R"(<circle class="hit" cx="{:.1f}" cy="{:.1f}" r="12"/>)", x, y);
    out += marker(curve.style, x, y, 4.6, fmt::format("dot {}", style));
    out += "</g>";
  }
}

}  // namespace

double chart_floor(std::span<const double> values) {
  const double least = values.empty() ? 1 : std::ranges::min(values);
  for (const double floor : {.99, .98, .95, .9, .8, .7, .6, .5, .4, .3, .2, .1}) {
    if (least >= floor + (1 - floor) * .04) return floor;
  }
  return 0;
}

std::string draw_share_chart(std::string_view title, std::span<const ChartCurve> curves,
                             double floor) {
  CHECK(floor >= 0 && floor < 1);
  const double least = share_least(curves);
  const Axes axes(least, floor);
  std::string out =
      fmt::format(R"(<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">)", kWidth,
                  kHeight, escape_html(fmt::format("{} over the share of frames inferred", title)));
  fmt::format_to(std::back_inserter(out), R"(<text class="name" x="{}" y="17">{}</text>)", 4,
                 escape_html(title));
  append_grid(out, axes, least, floor);
  fmt::format_to(std::back_inserter(out),
                 R"(<g class="point"><title>full inference: the reference</title>)"
                 R"(<circle class="full" cx="{:.1f}" cy="{:.1f}" r="5"/></g>)",
                 axes.x(1), axes.y(1));
  for (const ChartCurve& curve : curves) append_curve(out, curve, axes);
  out += "</svg>";
  return out;
}

std::string draw_chart_marker(std::size_t style) {
  return fmt::format(
      R"(<svg class="key" viewBox="0 0 26 14" aria-hidden="true"><path class="curve s{0}" d="M1 7H25"/>{1}</svg>)",
      style % kChartStyles,
      marker(style, 13, 7, 4.2, fmt::format("dot s{}", style % kChartStyles)));
}

}  // namespace framemill
