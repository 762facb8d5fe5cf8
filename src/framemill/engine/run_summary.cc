#include "framemill/engine/run_summary.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/engine/answer_json.h"
#include "framemill/engine/report_json.h"
#include "framemill/sched/service_times.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

Json camera_json(const CameraReport& camera, double wall_s) {
  Json json;
  json["camera"] = camera.id;
  json["state"] = to_string(camera.status.state);
  if (!camera.status.last_error.empty()) json["error"] = camera.status.last_error;
  json["priority"] = to_string(camera.priority);
  json["policy"] = to_string(camera.policy);
  json["slo_ms"] = to_ms(camera.slo);
  json["reconnects"] = camera.status.reconnects;
  json["codec"] = camera.status.facts.codec;
  json["width"] = camera.status.facts.size.width;
  json["height"] = camera.status.facts.size.height;
  json["frame_rate_hz"] = rounded(camera.status.facts.frame_rate_hz);
  json["answers_per_s"] =
      wall_s > 0 ? rounded(static_cast<double>(camera.counts.answered()) / wall_s) : 0.0;
  json.update(counts_json(camera.counts));
  json["fidelity"] = fidelity_json(camera.fidelity);
  json["rung"] = camera.rung;
  json["rung_changes"] = camera.rung_changes;
  json["source"] = source_json(camera.status.source);
  return json;
}

}  // namespace

std::string to_summary_json(const RunReport& report) {
  const double wall_s = to_seconds(report.wall);
  Json json;
  json["schema"] = "framemill.summary/1";
  json["run"] = report.run_id;
  json["started_at"] = format_wall_time(report.started_at);
  json["stopped_early"] = report.is_stopped_early;
  json["wall_s"] = rounded(wall_s);
  json["cpu_s"] = rounded(to_seconds(report.usage.cpu_user + report.usage.cpu_system));
  json["cpu_user_s"] = rounded(to_seconds(report.usage.cpu_user));
  json["cpu_system_s"] = rounded(to_seconds(report.usage.cpu_system));
  json["peak_rss_bytes"] = report.usage.rss_peak_bytes;
  json["pace"] = report.pace == Pace::kFast ? "fast" : "live";
  json["policy"] = to_string(report.policy);
  json["budget"] = {
      {"share", report.budget.share ? Json(*report.budget.share) : Json(nullptr)},
      {"per_second", report.budget.per_second ? Json(*report.budget.per_second) : Json(nullptr)}};
  if (report.over_budget >= 1) json["budget"]["exceeded_by"] = std::floor(report.over_budget);
  json["batch"] = {
      {"rule", report.batch_rule},
      {"frames", report.batch_frames},
      {"mean", report.batch_mean > 0 ? Json(rounded(report.batch_mean)) : Json(nullptr)}};
  json["fidelity"] = target_json(report.fidelity_target);
  json["conserved"] = report.is_conserved();
  SourceCounts source = report.removed_source;
  for (const CameraReport& camera : report.cameras) add_counts(source, camera.status.source);
  json["total"] = counts_json(report.total);
  json["total"]["answers_per_s"] =
      wall_s > 0 ? rounded(static_cast<double>(report.total.answered()) / wall_s) : 0.0;
  json["total"]["source"] = source_json(source);
  json["total"]["decode_s"] = rounded(to_seconds(source.decode_cpu));
  json["total"]["fidelity"] = fidelity_json(report.fidelity);
  json["total"]["inference_s"] = rounded(to_seconds(report.inference_time));
  if (report.removed_cameras > 0) {
    json["removed"] = counts_json(report.removed);
    json["removed"]["cameras"] = report.removed_cameras;
    json["removed"]["source"] = source_json(report.removed_source);
  }
  for (std::size_t i = 0; i < report.models.size(); ++i) {
    const ModelFacts& facts = report.models[i];
    json["models"].push_back({{"model", report.model_names[i]},
                              {"variant", facts.name},
                              {"path", facts.path},
                              {"hash", facts.hash},
                              {"precision", facts.precision},
                              {"runtime", facts.runtime},
                              {"device", facts.device},
                              {"device_name", facts.device_name}});
  }
  for (const DeviceReport& device : report.devices) {
    Json entry{
        {"device", device.name},
        {"device_name", device.device_name},
        {"serving", device.is_serving},
        {"outages", device.outages},
        {"batches", device.batches},
        {"batch_mean", device.batch_mean > 0 ? Json(rounded(device.batch_mean)) : Json(nullptr)},
        {"in_parallel", device.batches_max},
        {"inference_s", rounded(to_seconds(device.inference_time))}};
    if (device.batch_max < kBatchBuckets.back()) entry["batch_frames_max"] = device.batch_max;
    if (!device.is_serving) entry["out_reason"] = to_string(device.reason);
    if (!device.last_error.empty()) entry["last_error"] = device.last_error;
    if (const std::int64_t outages = device.model_outages(); outages > 0)
      entry["model_outages"] = outages;
    if (!device.lanes_out.empty())
      entry["models_out"] = models_out_json(device.lanes_out, report.model_names);
    json["devices"].push_back(std::move(entry));
  }
  json["environment"] = {{"framemill", FRAMEMILL_VERSION},
                         {"cpu", report.environment.cpu_model},
                         {"cpu_count", report.environment.cpu_count},
                         {"memory_bytes", report.environment.memory_bytes},
                         {"kernel", report.environment.kernel}};
  for (const SinkCounts& sink : report.sinks) {
    Json entry{
        {"sink", sink.name}, {"unit", sink.unit}, {"written", sink.written}, {"lost", sink.lost}};
    if (!sink.last_error.empty()) entry["error"] = sink.last_error;
    if (sink.alarms > 0) entry["alarms"] = sink.alarms;
    if (Json spool = spool_json(sink.spool); !spool.is_null()) entry["spool"] = std::move(spool);
    json["sinks"].push_back(entry);
  }
  if (report.trace) {
    json["trace"] = {{"path", report.trace->path},
                     {"records", report.trace->written},
                     {"lost", report.trace->lost}};
    if (!report.trace->last_error.empty()) json["trace"]["error"] = report.trace->last_error;
  }
  for (const CameraReport& camera : report.cameras) {
    json["cameras"].push_back(camera_json(camera, wall_s));
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<void> write_summary(const RunReport& report, const std::string& path) {
  const std::string text = to_summary_json(report);
  std::FILE* file = path == "-" ? stdout : std::fopen(path.c_str(), "we");
  bool is_written =
      file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int write_error = errno;
  if (file != nullptr) {
    is_written &= std::fflush(file) == 0;
    if (path != "-") is_written &= std::fclose(file) == 0;
  }
  if (is_written) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("{}: the summary cannot be written: {}", path == "-" ? "standard output" : path,
                  std::strerror(errno != 0 ? errno : write_error)));
}

}  // namespace framemill
