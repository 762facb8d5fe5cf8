#include "framemill/metrics/prometheus_text.h"

#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace framemill {
namespace {

/// Inside quotes: backslash, quote and line feed are escaped, everything else may stand.
void append_label_value(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\' || c == '"') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
}

std::string number(double value) {
  // Counters stay whole numbers as long as a double holds them exactly.
  if (std::floor(value) == value && std::abs(value) < 9e15)
    return fmt::format("{}", static_cast<long long>(value));
  return fmt::format("{}", value);
}

}  // namespace

void PrometheusText::family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  const std::string_view type_name = type == Type::kCounter ? "counter"
                                     : type == Type::kGauge ? "gauge"
                                                            : "histogram";
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                 type_name);
}

void PrometheusText::sample(Labels labels, double value) { line("", labels, {}, value); }

void PrometheusText::histogram(Labels labels, const LatencyHistogram& latency,
                               std::span<const double> bounds_s) {
  for (const double bound : bounds_s) {
    line("_bucket", labels, number(bound),
         static_cast<double>(latency.count_up_to(from_seconds(bound))));
  }
  line("_bucket", labels, "+Inf", static_cast<double>(latency.count()));
  line("_sum", labels, {}, to_seconds(latency.sum()));
  line("_count", labels, {}, static_cast<double>(latency.count()));
}

void PrometheusText::line(std::string_view suffix, Labels labels, std::string_view bound,
                          double value) {
  text_ += name_;
  text_ += suffix;
  char before = '{';
  const auto append = [&](std::string_view name, std::string_view label) {
    text_.push_back(before);
    before = ',';
    text_ += name;
    text_ += "=\"";
    append_label_value(text_, label);
    text_.push_back('"');
  };
  for (const auto& [name, label] : labels) append(name, label);
  if (!bound.empty()) append("le", bound);
  if (before == ',') text_.push_back('}');
  text_.push_back(' ');
  text_ += number(value);
  text_.push_back('\n');
}

}  // namespace framemill
