#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/engine/evaluation/average_precision.h"

namespace framemill {

/// Precision over recall, of one model at one overlap.
struct PrecisionLine {
  std::string name;       ///< plain text
  std::size_t style = 0;  ///< the page's colours s0, s1, ...
  bool is_dashed = false;
  std::array<double, kRecallPoints> precision{};
};

/// An inline SVG of `lines`, both axes 0..1. All text is escaped. The same input gives the same
/// bytes, as for all charts here.
[[nodiscard]] std::string draw_precision_recall(std::span<const PrecisionLine> lines);

/// A figure with its interval in a row of its own.
struct IntervalRow {
  std::string name;             ///< plain text
  std::optional<double> value;  ///< none: nothing is drawn
  std::optional<Interval> interval;
  bool is_bad = false;
};

/// An inline SVG of `rows` on one scale, with a line at `limit` and the side that is not allowed
/// shaded: above it where `is_loss`, else below it. `title` names the scale.
[[nodiscard]] std::string draw_interval_rows(std::string_view title,
                                             std::span<const IntervalRow> rows, double limit,
                                             bool is_loss);

/// A bar (and a second one) in a row of its own, 0..1.
struct BarRow {
  std::string name;    ///< plain text
  std::string beside;  ///< plain text, such as "38 objects"
  double value = 0;
  std::optional<double> other;
};

/// An inline SVG of horizontal bars; colours s0 and s1.
[[nodiscard]] std::string draw_bar_rows(std::string_view title, std::span<const BarRow> rows);

}  // namespace framemill
