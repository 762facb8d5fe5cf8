#include "framemill/metrics/prometheus_text.h"

#include <array>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using Type = PrometheusText::Type;

TEST(PrometheusText, WritesFamiliesAndSamples) {
  PrometheusText page;
  page.family("a_total", Type::kCounter, "Some.");
  page.sample({{"camera", "gate-1"}, {"outcome", "late"}}, 3);
  page.sample(9'007'199'254'740'991.0 / 4);
  page.family("b_ratio", Type::kGauge, "A share.");
  page.sample(.25);
  EXPECT_EQ(page.text(),
            "# HELP a_total Some.\n# TYPE a_total counter\n"
            "a_total{camera=\"gate-1\",outcome=\"late\"} 3\na_total 2251799813685247.8\n"
            "# HELP b_ratio A share.\n# TYPE b_ratio gauge\nb_ratio 0.25\n");
}

TEST(PrometheusText, EscapesLabels) {
  PrometheusText page;
  page.family("a", Type::kGauge, "x");
  page.sample({{"l", "say \"hi\" \\ twice\nthen \xC3\xA4"}}, 1);
  EXPECT_NE(page.text().find("a{l=\"say \\\"hi\\\" \\\\ twice\\nthen \xC3\xA4\"} 1\n"),
            std::string::npos);
}

TEST(PrometheusText, HistogramsAreCumulative) {
  LatencyHistogram latency;
  for (int ms = 1; ms <= 1000; ++ms) latency.record(std::chrono::milliseconds(ms));
  PrometheusText page;
  page.family("l_seconds", Type::kHistogram, "x");
  page.histogram({{"origin", "inferred"}}, latency, std::array{.1, .5, 2.0});
  const auto value = [&](const std::string& line) {
    const std::size_t at = page.text().find(line);
    return at == std::string::npos ? -1.0 : std::stod(page.text().substr(at + line.size()));
  };
  EXPECT_NEAR(value("l_seconds_bucket{origin=\"inferred\",le=\"0.1\"} "), 100, 2);
  EXPECT_NEAR(value("l_seconds_bucket{origin=\"inferred\",le=\"0.5\"} "), 500, 6);
  EXPECT_EQ(value("l_seconds_bucket{origin=\"inferred\",le=\"2\"} "), 1000);
  EXPECT_EQ(value("l_seconds_bucket{origin=\"inferred\",le=\"+Inf\"} "), 1000);
  EXPECT_NEAR(value("l_seconds_sum{origin=\"inferred\"} "), 500.5, 1e-6);
  EXPECT_EQ(value("l_seconds_count{origin=\"inferred\"} "), 1000);
}

TEST(LatencyHistogram, CountsUpToABoundWithinOnePercent) {
  LatencyHistogram latency;
  EXPECT_EQ(latency.count_up_to(1s), 0);
  for (int us = 100; us <= 100'000; us += 100) latency.record(std::chrono::microseconds(us));
  std::int64_t last = 0;
  for (int ms = 1; ms <= 100; ++ms) {
    const std::int64_t count = latency.count_up_to(std::chrono::milliseconds(ms));
    EXPECT_NEAR(static_cast<double>(count), 10.0 * ms, .011 * 10 * ms + 1) << ms;
    EXPECT_GE(count, last);
    last = count;
  }
  EXPECT_EQ(latency.count_up_to(100ms), 1000);
  EXPECT_EQ(latency.count_up_to(0ms), 0);
}

}  // namespace
}  // namespace framemill
