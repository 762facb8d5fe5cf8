#include "framemill/server/api_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <type_traits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/config/setting_json.h"
#include "framemill/config/settings_tables.h"
#include "framemill/engine/answer_json.h"
#include "framemill/engine/report_json.h"
#include "framemill/server/headroom.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_floating_point_v<T>) {
    return rounded(*value);
  } else {
    return *value;
  }
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json rates_json(const FrameRates& rates) {
  return {{"captured_per_s", rounded(rates.captured)}, {"sampled_per_s", rounded(rates.sampled)},
          {"answered_per_s", rounded(rates.answered)}, {"inferred_per_s", rounded(rates.inferred)},
          {"carried_per_s", rounded(rates.carried)},   {"overdue_per_s", rounded(rates.overdue)},
          {"lost_per_s", rounded(rates.lost)}};
}

/// The value alone; null where it is not known.
Json fidelity_value(const std::optional<FidelityFigure>& figure) {
  if (!figure || figure->state != FidelityState::kKnown) return nullptr;
  return rounded(figure->value);
}

/// Memory that the process and others may fill before the kernel swaps or kills.
constexpr double kMemoryShare = .85;
constexpr double kCpuShare = .9;

/// Models, or input sizes of them, that nothing serves though their devices do; and those that are
/// on devices alone that are out.
std::set<std::string> unserved_models(const RunReport& report) {
  std::set<std::string> models;
  const auto add = [&](std::size_t model, const std::string& variant) {
    models.insert(fmt::format("{} ({})", report.model_names[model], variant));
  };
  for (const DeviceReport& device : report.devices)
    for (const LaneOutReport& lane : device.lanes_out)
      if (!lane.is_elsewhere) add(lane.model, lane.variant);
  for (std::size_t model = 0; model < report.ladders.size(); ++model) {
    for (std::size_t rung = 0; rung < report.ladders[model].size(); ++rung) {
      const bool has_device = std::ranges::any_of(report.devices, [&](const DeviceReport& device) {
        return device.is_serving && device.hosted[model][rung].is_hosted;
      });
      if (!has_device) add(model, report.ladders[model][rung]);
    }
  }
  return models;
}

void add_device_troubles(const RunReport& report, std::vector<std::string>& reasons) {
  for (const DeviceReport& device : report.devices) {
    if (!device.is_serving)
      reasons.push_back(
          fmt::format("device {} is out ({})", device.name, to_string(device.reason)));
    for (const LaneOutReport& lane : device.lanes_out)
      reasons.push_back(fmt::format("model {} ({}) is out on device {}",
                                    report.model_names[lane.model], lane.variant, device.name));
  }
  if (std::ranges::none_of(report.devices, &DeviceReport::is_serving)) return;
  for (const std::string& model : unserved_models(report))
    reasons.push_back(fmt::format("no device is left that serves model {}", model));
}

Json device_json(const DeviceFigures& device, const std::vector<std::string>& model_names) {
  Json json{{"device", device.device},
            {"name", device.name},
            {"utilization", or_null(device.utilization)},
            {"in_parallel", device.in_parallel},
            {"batch_frames", device.batch_frames},
            {"batch_mean", or_null(device.batch_mean)},
            {"inferences_per_s", rounded(device.inferences_per_s)},
            {"service_ms", or_null(device.service_ms)},
            {"serving", device.is_serving},
            {"out_reason", text_or_null(device.out_reason)},
            {"outages", device.outages},
            {"models_out", models_out_json(device.lanes_out, model_names)},
            {"model_outages", device.model_outages},
            {"card_utilization", nullptr},
            {"memory_bytes", nullptr},
            {"memory_total_bytes", nullptr},
            {"temperature_celsius", nullptr},
            {"power_watts", nullptr}};
  if (device.gpu) {
    json["card_utilization"] = or_null(device.gpu->utilization);
    json["memory_bytes"] = or_null(device.gpu->memory_used_bytes);
    json["memory_total_bytes"] = or_null(device.gpu->memory_total_bytes);
    json["temperature_celsius"] = or_null(device.gpu->temperature_c);
    json["power_watts"] = or_null(device.gpu->power_w);
  }
  return json;
}

Json devices_json(const RunFigures& figures) {
  Json devices = Json::array();
  for (const DeviceFigures& device : figures.devices)
    devices.push_back(device_json(device, figures.report.model_names));
  return devices;
}

}  // namespace

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json camera_settings_json(const CameraSettings& settings) {
  Json json;
  for (const Setting<CameraSettings>& row : kCameraSettings) {
    if (row.key == "username" || row.key == "password") continue;
    if (row.key == "rate" && settings.every > 0) continue;
    if (row.key == "every" && settings.every == 0) continue;
    Json value = setting_json(row, settings, Secrets::kHidden);
    if (!value.is_null()) json[std::string(row.key)] = std::move(value);
  }
  return json;
}

Json camera_stats_json(const RunFigures& figures, std::size_t i, int open_alarms) {
  const CameraReport& camera = figures.report.cameras[i];
  const CameraFigures& now = figures.cameras[i];
  Json troubles = Json::array();
  for (const CameraTrouble& trouble : now.troubles)
    troubles.push_back({{"kind", trouble.kind}, {"text", trouble.text}});
  return {{"id", camera.id},
          {"state", to_string(camera.status.state)},
          {"rates", rates_json(now.rates)},
          {"p95_ms", or_null(now.p95_ms)},
          {"fidelity", fidelity_value(camera.fidelity)},
          {"need", or_null(camera.need)},
          {"share_inferred", or_null(now.share_inferred)},
          {"alarms", open_alarms},
          {"troubles", std::move(troubles)}};
}

Json camera_json(const RunFigures& figures, std::size_t i, const CameraSettings& settings,
                 int open_alarms) {
  const CameraReport& camera = figures.report.cameras[i];
  const StreamFacts& facts = camera.status.facts;
  return {{"id", camera.id},
          {"index", camera.index},
          {"state", to_string(camera.status.state)},
          {"last_error", camera.status.last_error},
          {"priority", to_string(camera.priority)},
          {"policy", to_string(camera.policy)},
          {"slo_ms", to_ms(camera.slo)},
          {"model", camera.model},
          {"rung", camera.rung},
          {"rung_changes", camera.rung_changes},
          {"source",
           {{"codec", facts.codec},
            {"width", facts.size.width},
            {"height", facts.size.height},
            {"frame_rate_hz", rounded(facts.frame_rate_hz)},
            {"reconnects", camera.status.reconnects},
            {"frames_decoded", camera.status.source.frames_decoded},
            {"decode_errors", camera.status.source.decode_errors}}},
          {"stats", camera_stats_json(figures, i, open_alarms)},
          {"counts", counts_json(camera.counts)},
          {"fidelity", fidelity_json(camera.fidelity)},
          {"settings", camera_settings_json(settings)}};
}

Json host_json(const RunFigures& figures) {
  const HostReading& host = figures.host;
  return {{"cpu_utilization", or_null(host.cpu_utilization)},
          {"cpu_count", figures.report.environment.cpu_count},
          {"memory_used_bytes", host.memory_used_bytes},
          {"memory_total_bytes", host.memory_total_bytes},
          {"process_cpu_cores", or_null(host.process_cpu_cores)},
          {"process_rss_bytes", host.process_rss_bytes},
          {"process_threads", host.process_threads},
          {"process_descriptors", host.process_descriptors}};
}

Json run_json(const RunFigures& figures) {
  const RunReport& report = figures.report;
  constexpr std::array kStates{CameraState::kConnecting, CameraState::kUp,     CameraState::kFrozen,
                               CameraState::kDown,       CameraState::kPaused, CameraState::kEnded,
                               CameraState::kFailed};
  Json cameras{{"total", report.cameras.size()}};
  for (const CameraState state : kStates) {
    cameras[std::string(to_string(state))] = std::ranges::count(
        report.cameras, state, [](const CameraReport& camera) { return camera.status.state; });
  }
  Json sinks = Json::array();
  for (const SinkCounts& sink : report.sinks) {
    Json entry{{"sink", sink.name}, {"written", sink.written}, {"lost", sink.lost}};
    if (sink.is_failing) entry["error"] = sink.last_error;
    if (Json spool = spool_json(sink.spool); !spool.is_null()) entry["spool"] = std::move(spool);
    sinks.push_back(std::move(entry));
  }
  return {{"run", report.run_id},
          {"version", FRAMEMILL_VERSION},
          {"started_at", format_wall_time(report.started_at)},
          {"now", format_wall_time(figures.at)},
          {"wall_s", rounded(to_seconds(report.wall))},
          {"pace", report.pace == Pace::kFast ? "fast" : "live"},
          {"policy", to_string(report.policy)},
          {"budget",
           {{"share", or_null(report.budget.share)},
            {"per_second", or_null(report.budget.per_second)}}},
          {"can_change", report.pace == Pace::kLive},
          {"cameras", std::move(cameras)},
          {"stats", {{"rates", rates_json(figures.total)}, {"p95_ms", or_null(figures.p95_ms)}}},
          {"counts", counts_json(report.total)},
          {"fidelity", fidelity_json(report.fidelity)},
          {"fidelity_target", target_json(report.fidelity_target)},
          {"host", host_json(figures)},
          {"devices", devices_json(figures)},
          {"sinks", std::move(sinks)}};
}

std::vector<std::string> troubles_of(const RunReport& report) {
  std::vector<std::string> reasons;
  add_device_troubles(report, reasons);
  if (report.is_stopped_early) reasons.emplace_back("the run ends");
  const auto count = [&report](CameraState state) {
    return std::ranges::count(report.cameras, state,
                              [](const CameraReport& camera) { return camera.status.state; });
  };
  const auto add = [&](CameraState state, std::string_view what) {
    if (const auto cameras = count(state); cameras > 0)
      reasons.push_back(fmt::format("{} of {} cameras {}", cameras, report.cameras.size(), what));
  };
  add(CameraState::kDown, "are down");
  add(CameraState::kFailed, "have failed");
  add(CameraState::kFrozen, "show a frozen picture");
  for (const SinkCounts& sink : report.sinks) {
    if (sink.is_failing) reasons.emplace_back("a sink fails");
    if (!sink.spool.last_error.empty())
      reasons.emplace_back("a sink cannot deliver, what is meant for its peer waits on disk");
  }
  return reasons;
}

Json plan_json(const RunFigures& figures) {
  const RunReport& report = figures.report;
  const auto cameras =
      static_cast<double>(std::ranges::count_if(report.cameras, [](const CameraReport& camera) {
        return camera.status.state == CameraState::kUp;
      }));
  const double sampled = figures.total.sampled;
  double inferences = 0;
  std::optional<double> capacity;
  double busy = 0;  // of the slots of devices that serve
  double slots = 0;
  for (std::size_t i = 0; i < std::min(report.devices.size(), figures.devices.size()); ++i) {
    const DeviceFigures& device = figures.devices[i];
    inferences += device.inferences_per_s;
    if (!device.is_serving) continue;
    slots += static_cast<double>(device.in_parallel);
    busy += static_cast<double>(device.in_parallel) * device.utilization.value_or(0);
    if (!device.service_ms || *device.service_ms <= 0) continue;
    capacity = capacity.value_or(0) + static_cast<double>(device.in_parallel) *
                                          device.batch_mean.value_or(1) /
                                          (*device.service_ms / 1e3);
  }
  std::optional<double> share_affordable;
  if (capacity && sampled > 0) share_affordable = std::min(1.0, *capacity / sampled);
  // What each camera of now takes of a resource, it is assumed that one more takes as well.
  std::vector<Headroom> resources;
  const HostReading& host = figures.host;
  if (busy > 0) resources.push_back({"device", kCpuShare, busy / slots, 0});
  if (host.cpu_utilization && host.process_cpu_cores && *host.process_cpu_cores > 0) {
    const double own = *host.process_cpu_cores / std::max(1U, report.environment.cpu_count);
    resources.push_back({"cpu", kCpuShare, own, std::max(0.0, *host.cpu_utilization - own)});
  }
  if (host.memory_total_bytes > 0 && host.process_rss_bytes > 0) {
    const auto total = static_cast<double>(host.memory_total_bytes);
    const double own = static_cast<double>(host.process_rss_bytes) / total;
    resources.push_back({"memory", kMemoryShare, own,
                         std::max(0.0, static_cast<double>(host.memory_used_bytes) / total - own)});
  }
  const auto binding = std::ranges::min_element(resources, {}, &Headroom::room);
  std::optional<std::int64_t> more;
  std::string explanation = "no camera delivers frames, so there is nothing to measure by";
  const bool is_known = cameras > 0 && binding != resources.end();
  if (is_known) {
    more = static_cast<std::int64_t>(std::floor(cameras * binding->room()));
    explanation = describe_headroom(*binding, static_cast<std::int64_t>(cameras), *more,
                                    figures.share_inferred.value_or(1));
  }
  return {{"window_s", rounded(figures.window_s)},
          {"devices", devices_json(figures)},
          {"host", host_json(figures)},
          {"cameras", static_cast<std::int64_t>(cameras)},
          {"sampled_per_s", rounded(sampled)},
          {"inferences_per_s", rounded(inferences)},
          {"capacity_per_s", or_null(capacity)},
          {"share_inferred", or_null(figures.share_inferred)},
          {"share_affordable", or_null(share_affordable)},
          {"cameras_more", or_null(more)},
          {"binding", is_known ? binding->name : "none"},
          {"explanation", explanation}};
}

Json event_json(const RunEvent& event) {
  return {{"id", event.id},     {"at", format_wall_time(event.at)},
          {"kind", event.kind}, {"camera", text_or_null(event.camera)},
          {"text", event.text}, {"by", text_or_null(event.by)}};
}

Json alarm_json(const AlarmView& alarm) {
  const auto time = [](const std::optional<WallTime>& at) {
    return at ? Json(format_wall_time(*at)) : Json(nullptr);
  };
  const AlarmEvent& raised = alarm.raised;
  return {{"alarm_id", raised.alarm_id},
          {"state", to_string(alarm.state)},
          {"severity", to_string(raised.severity)},
          {"camera", text_or_null(raised.camera_id)},
          {"rule", raised.rule},
          {"kind", raised.kind},
          {"message", raised.message},
          {"raised_at", format_wall_time(raised.at)},
          {"acknowledged_at", time(alarm.acknowledged_at)},
          {"acknowledged_by", text_or_null(alarm.acknowledged_by)},
          {"cleared_at", time(alarm.cleared_at)},
          {"seq", or_null(raised.seq)},
          {"has_picture", !raised.picture_path.empty()}};
}

Json stats_message(const RunFigures& figures, const std::map<std::string, int>& open_alarms) {
  Json cameras = Json::array();
  for (std::size_t i = 0; i < figures.cameras.size(); ++i) {
    const auto open = open_alarms.find(figures.report.cameras[i].id);
    cameras.push_back(camera_stats_json(figures, i, open == open_alarms.end() ? 0 : open->second));
  }
  return {{"type", "stats"},
          {"at", format_wall_time(figures.at)},
          {"cameras", std::move(cameras)},
          {"total",
           {{"rates", rates_json(figures.total)},
            {"p95_ms", or_null(figures.p95_ms)},
            {"fidelity", fidelity_value(figures.report.fidelity)},
            {"share_inferred", or_null(figures.share_inferred)}}},
          {"devices", devices_json(figures)},
          {"host", host_json(figures)}};
}

}  // namespace framemill
