#include "framemill/cli/eval_chart.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "framemill/cli/html_text.h"

namespace framemill {
namespace {

// In units of the view box, which is as wide as a phone: what is readable there is so everywhere.
constexpr double kWidth = 480;

std::string open_svg(double height, std::string_view label) {
  return fmt::format(R"(<svg class="chart" viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">)",
                     kWidth, height, escape_html(label));
}

/// A step of 1, 2 or 5 times a power of ten that gives at most `most` steps.
double step_for(double range, int most) {
  double step = std::pow(10, std::floor(std::log10(std::max(range, 1e-9) / most)));
  for (const double factor : {2.0, 2.5, 2.0}) {
    if (range / step > most) step *= factor;
  }
  return step;
}

}  // namespace

std::string draw_precision_recall(std::span<const PrecisionLine> lines) {
  constexpr double kHeight = 330, kLeft = 46, kRight = 468, kTop = 14, kBottom = 280;
  const auto x = [](double recall) { return kLeft + recall * (kRight - kLeft); };
  const auto y = [](double precision) { return kBottom - precision * (kBottom - kTop); };
  std::string out = open_svg(kHeight, "precision over recall");
  auto end = std::back_inserter(out);
  for (int i = 0; i <= 5; ++i) {
    const double value = i / 5.0;
    fmt::format_to(end, R"(<path class="grid" d="M{} {:.1f}H{}M{:.1f} {}V{}"/>)", kLeft, y(value),
                   kRight, x(value), kTop, kBottom);
    fmt::format_to(end, R"(<text x="{}" y="{:.1f}" text-anchor="end">{:.1f}</text>)", kLeft - 7,
                   y(value) + 4, value);
    fmt::format_to(end, R"(<text x="{:.1f}" y="{}" text-anchor="middle">{:.1f}</text>)", x(value),
                   kBottom + 19, value);
  }
  fmt::format_to(end, R"(<path class="axis" d="M{} {}H{}"/>)", kLeft, kBottom, kRight);
  fmt::format_to(end, R"(<text x="{:.1f}" y="{}" text-anchor="middle">recall</text>)",
                 (kLeft + kRight) / 2, kBottom + 40);
  for (const PrecisionLine& line : lines) {
    fmt::format_to(
        end, R"(<g class="point" tabindex="0"><title>{}</title><path class="curve s{}"{} d=")",
        escape_html(line.name), line.style, line.is_dashed ? " stroke-dasharray=\"6 4\"" : "");
    for (std::size_t i = 0; i < kRecallPoints; ++i)
      fmt::format_to(end, "{}{:.1f} {:.1f}", i == 0 ? "M" : "L",
                     x(static_cast<double>(i) / (kRecallPoints - 1)), y(line.precision[i]));
    out += "\"/></g>";
  }
  return out + "</svg>";
}

std::string draw_interval_rows(std::string_view title, std::span<const IntervalRow> rows,
                               double limit, bool is_loss) {
  constexpr double kLeft = 106, kRight = 462, kTop = 30, kRow = 27;
  double low = is_loss ? std::min(0.0, limit) : limit, high = is_loss ? limit : 1;
  for (const IntervalRow& row : rows) {
    for (const std::optional<double>& value :
         {row.value, row.interval ? std::optional(row.interval->low) : std::nullopt,
          row.interval ? std::optional(row.interval->high) : std::nullopt}) {
      if (!value) continue;
      low = std::min(low, *value);
      high = std::max(high, *value);
    }
  }
  const double step = step_for(high - low, 6);
  low = std::floor(low / step - .2) * step;
  high = is_loss ? std::ceil(high / step + .2) * step : std::ceil(high / step) * step;
  const double bottom = kTop + kRow * static_cast<double>(rows.size()) + 4;
  const auto x = [&](double value) {
    return kLeft + (value - low) / (high - low) * (kRight - kLeft);
  };
  std::string out = open_svg(bottom + 30, title);
  auto end = std::back_inserter(out);
  fmt::format_to(end, R"(<text class="name" x="4" y="17">{}</text>)", escape_html(title));
  const double from = is_loss ? x(limit) : kLeft;
  fmt::format_to(end,
                 R"(<rect class="forbidden" x="{:.1f}" y="{}" width="{:.1f}" height="{:.1f}"/>)",
                 from, kTop, (is_loss ? kRight : x(limit)) - from, bottom - kTop);
  for (double value = low; value < high + step / 2; value += step) {
    fmt::format_to(end, R"(<path class="grid" d="M{0:.1f} {1}V{2:.1f}"/>)", x(value), kTop, bottom);
    fmt::format_to(end, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{:.4g}</text>)",
                   x(value), bottom + 18, std::abs(value) < step / 1e3 ? 0 : value);
  }
  fmt::format_to(end, R"(<path class="limit" d="M{0:.1f} {1}V{2:.1f}"/>)", x(limit), kTop - 4,
                 bottom);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const IntervalRow& row = rows[i];
    const double y = kTop + kRow * (static_cast<double>(i) + .5) + 2;
    fmt::format_to(end, R"(<text x="{}" y="{:.1f}" text-anchor="end">{}</text>)", kLeft - 10, y + 4,
                   escape_html(row.name));
    if (!row.value) continue;
    const char* const style = row.is_bad ? "bad-mark" : "s0";
    std::string tip = fmt::format("{}: {:.4f}", row.name, *row.value);
    if (row.interval)
      tip += fmt::format(" [{:.4f}, {:.4f}]", row.interval->low, row.interval->high);
    fmt::format_to(end, R"(<g class="point" tabindex="0"><title>{}</title>)", escape_html(tip));
    if (row.interval)
      fmt::format_to(end, R"(<path class="curve {}" d="M{:.1f} {:.1f}H{:.1f}"/>)", style,
                     x(row.interval->low), y, x(row.interval->high));
    fmt::format_to(end, R"(<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="5.5"/></g>)", style,
                   x(*row.value), y);
  }
  return out + "</svg>";
}

std::string draw_bar_rows(std::string_view title, std::span<const BarRow> rows) {
  constexpr double kLeft = 150, kRight = 436, kTop = 30;
  const bool has_two =
      std::ranges::any_of(rows, [](const BarRow& row) { return row.other.has_value(); });
  const double height = has_two ? 26 : 20;
  const double bottom = kTop + height * static_cast<double>(rows.size()) + 4;
  const auto x = [](double value) {
    return kLeft + std::clamp(value, 0.0, 1.0) * (kRight - kLeft);
  };
  std::string out = open_svg(bottom + 24, title);
  auto end = std::back_inserter(out);
  fmt::format_to(end, R"(<text class="name" x="4" y="17">{}</text>)", escape_html(title));
  for (int i = 0; i <= 5; ++i) {
    fmt::format_to(end, R"(<path class="grid" d="M{0:.1f} {1}V{2:.1f}"/>)", x(i / 5.0), kTop,
                   bottom);
    fmt::format_to(end, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{:.1f}</text>)",
                   x(i / 5.0), bottom + 17, i / 5.0);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const BarRow& row = rows[i];
    const double top = kTop + height * static_cast<double>(i) + 3;
    std::string tip = fmt::format("{}, {}: {:.3f}", row.name, row.beside, row.value);
    if (row.other) tip += fmt::format(", the other {:.3f}", *row.other);
    fmt::format_to(end, R"(<g class="point" tabindex="0"><title>{}</title>)", escape_html(tip));
    fmt::format_to(end, R"(<rect class="hit" x="0" y="{:.1f}" width="{}" height="{:.1f}"/>)", top,
                   kWidth, height);
    fmt::format_to(end, R"(<text x="{}" y="{:.1f}" text-anchor="end">{}</text>)", kLeft - 8,
                   top + height / 2 + 1, escape_html(row.name));
    const double thick = has_two ? 9 : 12;
    fmt::format_to(end, R"(<rect class="dot s0" x="{}" y="{:.1f}" width="{:.1f}" height="{}"/>)",
                   kLeft, top, std::max(.5, x(row.value) - kLeft), thick);
    if (row.other)
      fmt::format_to(end, R"(<rect class="dot s1" x="{}" y="{:.1f}" width="{:.1f}" height="{}"/>)",
                     kLeft, top + thick + 1, std::max(.5, x(*row.other) - kLeft), thick);
    fmt::format_to(end, R"(<text x="{:.1f}" y="{:.1f}">{:.3f}</text></g>)", kRight + 6,
                   top + height / 2 + 1, row.value);
  }
  return out + "</svg>";
}

}  // namespace framemill
