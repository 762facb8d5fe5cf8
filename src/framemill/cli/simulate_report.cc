#include "framemill/cli/simulate_report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "framemill/core/camera.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kGroupsListed = 5;  // of those that share a model, in one line

double over(double part, double whole) { return whole > 0 ? part / whole : 0; }
double over(std::int64_t part, std::int64_t whole) {
  return over(static_cast<double>(part), static_cast<double>(whole));
}
/// Three decimals are enough for everything that is simulated, and keep the document short.
double rounded(double value) { return std::round(value * 1e3) / 1e3; }

std::int64_t ended(const ClassFigures& figures) { return figures.sampled - figures.in_flight; }
std::int64_t carried(const ClassFigures& figures) { return figures.propagated + figures.reused; }
std::int64_t answers(const ClassFigures& figures) { return figures.inferred + carried(figures); }
double fidelity(const ClassFigures& figures) {
  return over(figures.fidelity_sum, static_cast<double>(ended(figures)));
}
double ms(const LatencyHistogram& latency, double share) {
  return to_ms(latency.percentile(share));
}
double occupancy(const SimulationResult& result) {
  return over(result.total.busy_s, result.total.slot_s);
}

/// Of DeviceFigures::classes.
std::string_view class_name(std::size_t index) {
  return index < 3 ? to_string(static_cast<Priority>(index)) : "flooding";
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

Json to_json(std::string_view name, const ClassFigures& figures, Duration length) {
  const double seconds = to_seconds(length);
  const auto latency = [](const LatencyHistogram& histogram) {
    return Json{{"p50", rounded(ms(histogram, .5))},
                {"p95", rounded(ms(histogram, .95))},
                {"p99", rounded(ms(histogram, .99))},
                {"max", rounded(to_ms(histogram.max()))}};
  };
  return {
      {"class", name},
      {"cameras", figures.cameras},
      {"sampled", figures.sampled},
      {"outcomes",
       {{"inferred", figures.inferred},
        {"propagated", figures.propagated},
        {"reused", figures.reused},
        {"superseded", figures.superseded},
        {"late", figures.late},
        {"failed", figures.failed},
        {"in_flight", figures.in_flight}}},
      {"conserved", figures.sampled == figures.outcomes()},
      {"not_on_time", figures.not_on_time},
      {"goodput_per_s",
       rounded(static_cast<double>(answers(figures) - figures.not_on_time) / seconds)},
      {"inferred_on_time_per_s", rounded(static_cast<double>(figures.inferred_on_time) / seconds)},
      {"on_time_share", over(answers(figures) - figures.not_on_time, ended(figures))},
      {"inferred_latency_ms", latency(figures.inferred_latency)},
      {"answer_latency_ms", latency(figures.answer_latency)},
      {"gap_periods_p999", rounded(to_seconds(figures.gap_periods.percentile(.999)))},
      {"worst_gap_ms", rounded(to_ms(figures.worst_gap))},
      {"expected_fidelity", fidelity(figures)}};
}

Json to_json(const RecordedScenes& trace) {
  std::size_t with_motion = 0;
  std::size_t frames = 0;
  for (const TracedCamera& camera : trace.scenes->cameras) {
    with_motion += camera.has_motion ? 1 : 0;
    frames += camera.frames.size();
  }
  return {{"path", trace.path},
          {"run", trace.run},
          {"framemill", trace.framemill},
          {"length_s", rounded(to_seconds(trace.scenes->length))},
          {"cameras", trace.scenes->cameras.size()},
          {"cameras_with_motion", with_motion},
          {"frames", frames},
          {"records", trace.records},
          {"records_lost", trace.lost},
          {"records_replayed", trace.replayed},
          {"same_decisions", trace.difference.empty()},
          {"difference", trace.difference.empty() ? Json(nullptr) : Json(trace.difference)}};
}

/// What stands below the table: where motion and timing came from.
std::string scenes_note(const std::optional<RecordedScenes>& trace) {
  if (!trace) {
    return "fidelity: expected from a model of calm and active scenes, not measured; `compare` "
           "measures it.\n";
  }
  return fmt::format(
      "fidelity: expected from {}: {} cameras, {:.0f} s of run {}; {}.\n", trace->path,
      trace->scenes->cameras.size(), to_seconds(trace->scenes->length), trace->run,
      trace->difference.empty()
          ? fmt::format("all {} recorded steps are decided the same again", trace->records)
          : fmt::format("{} of its {} recorded steps are decided the same again", trace->replayed,
                        trace->records));
}

std::string list_groups(const std::vector<std::string>& groups) {
  const auto shown = static_cast<std::ptrdiff_t>(std::min(kGroupsListed, groups.size()));
  std::string text = fmt::format("{}", fmt::join(groups.begin(), groups.begin() + shown, ", "));
  if (groups.size() > kGroupsListed)
    text += fmt::format(" and {} more", groups.size() - kGroupsListed);
  return text;
}

/// What runs where, with the groups of cameras behind it.
std::string describe_layouts(const std::vector<DeviceLayout>& layouts) {
  std::string text;
  for (const DeviceLayout& layout : layouts) {
    std::vector<std::string> models;
    for (const PlannedModel& model : layout.models)
      models.push_back(fmt::format("{} for {}", model.model, list_groups(model.groups)));
    text += fmt::format("laid out as planned: {} x {}\n", layout.count, fmt::join(models, " + "));
  }
  return text;
}

std::string describe_decoding(const CardDecoding& decoding) {
  std::string text = fmt::format("decoding a machine: {} of a card's decoder, {:.2f}",
                                 percent(decoding.card), decoding.cores);
  if (decoding.all_cores) text += fmt::format(" of {:g}", *decoding.all_cores);
  return text + " cores beside it\n";
}

Json to_json(const DeviceLayout& layout) {
  Json models = Json::array();
  for (const PlannedModel& model : layout.models)
    models.push_back({{"model", model.model},
                      {"precision", model.precision},
                      {"groups", model.groups},
                      {"qps", rounded(model.qps)}});
  return {{"count", layout.count}, {"models", std::move(models)}};
}

Json to_json(const CardDecoding& decoding) {
  return {{"card_share", rounded(decoding.card)},
          {"cores", rounded(decoding.cores)},
          {"all_cores", decoding.all_cores ? Json(*decoding.all_cores) : Json(nullptr)},
          {"unknown", decoding.unknown}};
}

/// Columns as wide as their widest cell; the first two to the left, numbers to the right.
std::string align(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::vector<std::string>& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string cell = i < 2 ? fmt::format("{:<{}}", row[i], widths[i])
                                     : fmt::format("{:>{}}", row[i], widths[i]);
      line += (i == 0 ? "" : "  ") + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

}  // namespace

std::string simulate_table(const SimulateReport& report) {
  std::string text = fmt::format(
      "{}: {} x {} ({}), {:.1f} inferences/s asked for, {:.1f}/s under overload; {:g} s, seed {}\n",
      report.workload, report.devices, report.device_name, report.devices_reason,
      report.demand_per_s, report.capacity_per_s, to_seconds(report.length), report.seed);
  text += describe_layouts(report.layouts);
  if (report.decoding) text += describe_decoding(*report.decoding);
  text += '\n';
  std::vector<std::vector<std::string>> rows{
      {"scenario", "class", "cameras", "goodput/s", "in time", "inferred", "p50 ms", "p95 ms",
       "p99 ms", "carried", "none", "gap p99.9", "worst gap", "fidelity", "busy", "busiest"}};
  for (const SimulationResult& result : report.results) {
    bool is_first = true;
    for (std::size_t i = 0; i < result.total.classes.size(); ++i) {
      const ClassFigures& figures = result.total.classes[i];
      if (figures.cameras == 0) continue;
      const std::int64_t in_time = answers(figures) - figures.not_on_time;
      rows.push_back(
          {is_first ? std::string(to_string(result.scenario)) : "", std::string(class_name(i)),
           fmt::format("{}", figures.cameras),
           fmt::format("{:.1f}", static_cast<double>(in_time) / to_seconds(result.length)),
           percent(over(in_time, ended(figures))), percent(over(figures.inferred, ended(figures))),
           fmt::format("{:.1f}", ms(figures.inferred_latency, .5)),
           fmt::format("{:.1f}", ms(figures.inferred_latency, .95)),
           fmt::format("{:.1f}", ms(figures.inferred_latency, .99)),
           percent(over(carried(figures), ended(figures))),
           percent(over(figures.superseded + figures.late + figures.failed, ended(figures))),
           fmt::format("{:.2f}", to_seconds(figures.gap_periods.percentile(.999))),
           fmt::format("{:.0f} ms", to_ms(figures.worst_gap)),
           fmt::format("{:.3f}", fidelity(figures)), is_first ? percent(occupancy(result)) : "",
           is_first ? percent(result.busiest) : ""});
      is_first = false;
    }
  }
  text += align(rows);
  text +=
      "\nShares are of the sampled frames. p50..p99: latency of inferred answers. gap: between "
      "answers in time of a camera, in periods.\nnone: superseded, late or failed. ";
  text += scenes_note(report.trace);
  if (report.bars.empty()) return text;
  rows = {{"at 2x overload", "", "goodput", "p50 / slo", "gap p99.9", "after -25 %", "critical"}};
  for (const BarFigures& bar : report.bars) {
    rows.push_back({std::string(bar.policy), "", fmt::format("{:.3f}", bar.goodput),
                    fmt::format("{:.2f}", bar.p50_of_slo), fmt::format("{:.2f}", bar.gap_of_mean),
                    fmt::format("{:.3f}", bar.after_slowdown), percent(bar.critical_on_time)});
  }
  rows.push_back({"bar", "", ">= .96", "<= .55", "<= 3", ">= .96", ">= 99 %"});
  text += '\n' + align(rows);
  text +=
      "\ngoodput: inferred in time, of capacity. gap: between inferences of a camera, over their "
      "mean. after -25 %: goodput from 1 s after the\ndevice slows down. critical: frames of "
      "critical cameras (each seventh) inferred in time. One device, policy full.\n";
  return text;
}

std::string simulate_json(const SimulateReport& report) {
  Json profiles = Json::array();
  for (const DeviceProfile& profile : report.profiles) {
    profiles.push_back({{"device", profile.device},
                        {"device_name", profile.device_name},
                        {"model", profile.model},
                        {"model_sha256", profile.model_sha256},
                        {"precision", profile.precision}});
  }
  Json scenarios = Json::array();
  for (const SimulationResult& result : report.results) {
    Json classes = Json::array();
    for (std::size_t i = 0; i < result.total.classes.size(); ++i) {
      const ClassFigures& figures = result.total.classes[i];
      if (figures.cameras == 0) continue;
      classes.push_back(to_json(class_name(i), figures, result.length));
    }
    scenarios.push_back({{"scenario", to_string(result.scenario)},
                         {"events", result.total.events},
                         {"inferences", result.total.inferences},
                         {"audits", result.total.audits},
                         {"occupancy", occupancy(result)},
                         {"busiest_occupancy", result.busiest},
                         {"classes", std::move(classes)}});
  }
  Json layouts = Json::array();
  for (const DeviceLayout& layout : report.layouts) layouts.push_back(to_json(layout));
  Json document{{"schema", "framemill.simulation/1"},
                {"workload", report.workload},
                {"seed", report.seed},
                {"length_s", to_seconds(report.length)},
                {"trace", report.trace ? to_json(*report.trace) : Json(nullptr)},
                {"profiles", std::move(profiles)},
                {"device_name", report.device_name},
                {"devices", report.devices},
                {"devices_reason", report.devices_reason},
                {"eta", report.eta ? Json(*report.eta) : Json(nullptr)},
                {"layouts", std::move(layouts)},
                {"decoding", report.decoding ? to_json(*report.decoding) : Json(nullptr)},
                {"demand_per_s", rounded(report.demand_per_s)},
                {"capacity_per_s", rounded(report.capacity_per_s)},
                {"scenarios", std::move(scenarios)}};
  if (!report.bars.empty()) {
    Json bars = Json::array();
    for (const BarFigures& bar : report.bars) {
      bars.push_back({{"policy", bar.policy},
                      {"goodput", rounded(bar.goodput)},
                      {"p50_of_slo", rounded(bar.p50_of_slo)},
                      {"gap_of_mean_p999", rounded(bar.gap_of_mean)},
                      {"goodput_after_slowdown", rounded(bar.after_slowdown)},
                      {"critical_on_time", rounded(bar.critical_on_time)}});
    }
    document["bars_at_twofold_overload"] = std::move(bars);
  }
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace framemill
