#include "framemill/cli/verify_report.h"

#include <array>
#include <cmath>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace framemill {
namespace {

struct Figure {
  std::string_view key;
  std::string_view name;
  double (*of)(const LoadFigures&);
};

constexpr std::array kFigures{
    Figure{"sampled_per_s", "sampled frames/s",
           [](const LoadFigures& f) { return f.sampled_per_s; }},
    Figure{"in_time_per_s", "answers in time/s",
           [](const LoadFigures& f) { return f.in_time_per_s; }},
    Figure{"inferred_per_s", "inferred/s", [](const LoadFigures& f) { return f.inferred_per_s; }},
    Figure{"share_inferred", "share inferred",
           [](const LoadFigures& f) { return f.share_inferred; }},
    Figure{"p50_ms", "inferred, p50 ms", [](const LoadFigures& f) { return to_ms(f.p50); }},
    Figure{"p95_ms", "inferred, p95 ms", [](const LoadFigures& f) { return to_ms(f.p95); }},
    Figure{"p99_ms", "inferred, p99 ms", [](const LoadFigures& f) { return to_ms(f.p99); }},
};

double rounded(double value) { return std::round(value * 1e4) / 1e4; }

nlohmann::ordered_json json_of(const LoadFigures& figures) {
  nlohmann::ordered_json json;
  for (const Figure& figure : kFigures) json[std::string(figure.key)] = rounded(figure.of(figures));
  return json;
}

nlohmann::ordered_json json_of(const std::optional<LoadFigures>& figures) {
  return figures ? json_of(*figures) : nlohmann::ordered_json();
}

}  // namespace

double error_of(double predicted, double measured) {
  if (predicted == measured) return 0;
  if (predicted == 0) return 1;
  return measured / predicted - 1;
}

std::string verify_table(const VerifyReport& report) {
  std::string out =
      fmt::format("{}: {:.1f} inferences/s asked for, {:.1f}/s of one device by its profile",
                  report.workload, report.demand_per_s, report.capacity_per_s);
  if (report.devices > 1) out += fmt::format("; what one of {} devices gets", report.devices);
  const bool is_played = report.length > Duration::zero();
  if (is_played) {
    out += fmt::format("; {:.0f} s measured, {:.2f} cores busy", to_seconds(report.length),
                       report.cores_busy);
  }
  if (report.speed) {
    out += fmt::format("\nright before, the models ran at {:.1f} % of the profile's speed",
                       100 * *report.speed);
  }
  out += fmt::format("\n\n{:<12} {:<20} {:>10}", "priority", "figure", "predicted");
  if (is_played) out += fmt::format(" {:>10} {:>8}", "measured", "error");
  if (report.speed) out += fmt::format(" {:>14} {:>8}", "at that speed", "error");
  out += '\n';
  for (const VerifiedClass& verified : report.classes) {
    std::string_view name = to_string(verified.priority);
    for (const Figure& figure : kFigures) {
      const double predicted = figure.of(verified.predicted);
      out += fmt::format("{:<12} {:<20} {:>10.3f}", name, figure.name, predicted);
      name = "";
      if (verified.measured) {
        const double measured = figure.of(*verified.measured);
        out += fmt::format(" {:>10.3f} {:>+7.1f}%", measured, 100 * error_of(predicted, measured));
        if (verified.predicted_at_speed) {
          const double at_speed = figure.of(*verified.predicted_at_speed);
          out += fmt::format(" {:>14.3f} {:>+7.1f}%", at_speed, 100 * error_of(at_speed, measured));
        }
      }
      out += '\n';
    }
  }
  if (is_played && !report.is_conserved) out += "\nthe run's counts do not add up\n";
  return out;
}

std::string verify_json(const VerifyReport& report) {
  nlohmann::ordered_json json;
  json["schema"] = "framemill.verify/1";
  json["workload"] = report.workload;
  json["devices"] = report.devices;
  json["measured_s"] = to_seconds(report.length);
  json["demand_per_s"] = rounded(report.demand_per_s);
  json["capacity_per_s"] = rounded(report.capacity_per_s);
  json["cores_busy"] = rounded(report.cores_busy);
  json["speed"] = report.speed ? nlohmann::ordered_json(rounded(*report.speed)) : nullptr;
  json["conserved"] = report.is_conserved;
  for (const VerifiedClass& verified : report.classes) {
    json["classes"].push_back({{"priority", to_string(verified.priority)},
                               {"cameras", verified.cameras},
                               {"predicted", json_of(verified.predicted)},
                               {"predicted_at_speed", json_of(verified.predicted_at_speed)},
                               {"measured", json_of(verified.measured)}});
  }
  return json.dump(2) + "\n";
}

}  // namespace framemill
