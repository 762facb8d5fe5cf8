#include "framemill/cli/run_table.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include <fmt/format.h>

namespace framemill {
namespace {

constexpr std::size_t kIdWidthMax = 32;

std::string format_latency(const LatencyHistogram& latency, double p) {
  if (latency.count() == 0) return "-";
  return fmt::format("{:.0f}", to_ms(latency.percentile(p)));
}

/// The latency of what was answered, whatever its origin.
LatencyHistogram answered_latency(const CameraCounts& counts) {
  LatencyHistogram all;
  for (const LatencyHistogram& latency : counts.latency) all.merge(latency);
  return all;
}

/// What tells of trouble comes first: the live table is cut at the terminal's width, and 80 columns
/// have to hold it for ids of up to 11 characters.
void append_row(std::string& out, std::string_view name, std::size_t name_width,
                std::string_view state, const CameraRate& rate, const CameraCounts& counts) {
  const LatencyHistogram latency = answered_latency(counts);
  const auto outcome = [&](Outcome o) { return counts.outcomes[static_cast<std::size_t>(o)]; };
  fmt::format_to(
      std::back_inserter(out),
      "{:<{}} {:<10} {:>10.1f} {:>6} {:>6} {:>7} {:>10} {:>6} {:>6} {:>9} {:>8} {:>9} {:>9.1f}\n",
      name, name_width, state, rate.answered_per_s, format_latency(latency, 0.50),
      format_latency(latency, 0.95), counts.overdue, outcome(Outcome::kSuperseded),
      outcome(Outcome::kLate), outcome(Outcome::kFailed), outcome(Outcome::kInferred),
      outcome(Outcome::kReused) + outcome(Outcome::kPropagated), counts.sampled(),
      rate.decoded_per_s);
}

int trouble(const CameraReport& camera) {
  switch (camera.status.state) {
    case CameraState::kFailed:
      return 0;
    case CameraState::kDown:
      return 1;
    case CameraState::kFrozen:
      return 2;
    case CameraState::kConnecting:
      return 3;
    case CameraState::kUp:
    case CameraState::kPaused:
    case CameraState::kEnded:
      break;
  }
  return 4;
}

}  // namespace

std::vector<CameraRate> rates_between(const RunReport& before, const RunReport& now) {
  std::vector<CameraRate> rates(now.cameras.size());
  const double seconds = to_seconds(now.wall - before.wall);
  if (seconds <= 0) return rates;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    std::int64_t decoded = now.cameras[i].status.source.frames_decoded;
    std::int64_t answered = now.cameras[i].counts.answered();
    // Cameras may have come and gone in between; mostly each is where it was.
    auto old =
        before.cameras.begin() + static_cast<std::ptrdiff_t>(std::min(i, before.cameras.size()));
    if (old == before.cameras.end() || old->id != now.cameras[i].id)
      old = std::ranges::find(before.cameras, now.cameras[i].id, &CameraReport::id);
    if (old != before.cameras.end()) {
      decoded -= old->status.source.frames_decoded;
      answered -= old->counts.answered();
    }
    rates[i] = {static_cast<double>(decoded) / seconds, static_cast<double>(answered) / seconds};
  }
  return rates;
}

std::string format_run_table(const RunReport& report, const std::vector<CameraRate>& rates,
                             std::size_t rows_max) {
  std::vector<std::size_t> shown(report.cameras.size());
  std::iota(shown.begin(), shown.end(), std::size_t{0});
  if (shown.size() > rows_max) {
    std::ranges::stable_sort(shown, {}, [&](std::size_t i) { return trouble(report.cameras[i]); });
    shown.resize(rows_max);
  }
  std::size_t width = 6;
  for (const std::size_t i : shown) {
    width = std::max(width, std::min(kIdWidthMax, report.cameras[i].id.size()));
  }
  std::string out;
  fmt::format_to(
      std::back_inserter(out),
      "{:<{}} {:<10} {:>10} {:>6} {:>6} {:>7} {:>10} {:>6} {:>6} {:>9} {:>8} {:>9} {:>9}\n",
      "camera", width, "state", "answered/s", "p50 ms", "p95 ms", "overdue", "superseded", "late",
      "failed", "inferred", "carried", "sampled", "decoded/s");
  for (const std::size_t i : shown) {
    const CameraReport& camera = report.cameras[i];
    append_row(out, std::string_view(camera.id).substr(0, kIdWidthMax), width,
               to_string(camera.status.state), rates[i], camera.counts);
  }
  if (shown.size() < report.cameras.size()) {
    fmt::format_to(std::back_inserter(out), "... {} more cameras\n",
                   report.cameras.size() - shown.size());
  }
  CameraRate total;
  for (const CameraRate& rate : rates) {
    total.decoded_per_s += rate.decoded_per_s;
    total.answered_per_s += rate.answered_per_s;
  }
  append_row(out, "total", width, "", total, report.total);
  const double wall_s = std::max(1e-9, to_seconds(report.wall));
  const double cpu_s = to_seconds(report.usage.cpu_user + report.usage.cpu_system);
  fmt::format_to(std::back_inserter(out),
                 "{:.1f} s, {:.2f} cores busy, {:.0f} MB, {:.1f} inferences/s, captured {} {}\n",
                 wall_s, cpu_s / wall_s, static_cast<double>(report.usage.rss_bytes) / 1e6,
                 static_cast<double>(report.total.inferences[0]) / wall_s, report.total.captured,
                 report.is_conserved() ? "= sum of all outcomes" : "BUT OUTCOMES DO NOT ADD UP");
  return out;
}

}  // namespace framemill
