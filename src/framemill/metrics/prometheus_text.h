#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "framemill/metrics/latency_histogram.h"

namespace framemill {

/// Writes the text format of Prometheus, version 0.0.4. A family first, then its samples; each
/// family once. Values that are not finite are left out by the caller. Not thread-safe.
class PrometheusText {
 public:
  enum class Type { kCounter, kGauge, kHistogram };
  using Label = std::pair<std::string_view, std::string_view>;
  using Labels = std::initializer_list<Label>;

  /// Begins a family: the samples that follow are its own. `help`: one line.
  void family(std::string_view name, Type type, std::string_view help);
  void sample(Labels labels, double value);
  void sample(double value) { sample({}, value); }
  /// Buckets with these upper bounds in seconds, ascending; then +Inf, sum and count.
  void histogram(Labels labels, const LatencyHistogram& latency, std::span<const double> bounds_s);

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void line(std::string_view suffix, Labels labels, std::string_view bound, double value);

  std::string text_;
  std::string name_;
};

}  // namespace framemill
