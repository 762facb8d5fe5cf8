#include "framemill/server/metrics_page.h"

#include <algorithm>
#include <array>

#include "framemill/metrics/prometheus_text.h"

namespace framemill {
namespace {

using Type = PrometheusText::Type;

/// Around the usual deadlines: 33 ms is a frame, 100 and 200 ms are what cameras promise. Beyond
/// the longest slo that can be promised, a minute: a quantile ends at the last bound.
constexpr std::array kLatencyBounds{.005, .01, .02, .033, .05, .075, .1,   .15,  .2,   .3,
                                    .5,   .75, 1.0, 2.0,  5.0, 10.0, 30.0, 60.0, 120.0};
constexpr std::array kPriorities{Priority::kCritical, Priority::kNormal, Priority::kBackground};
constexpr std::array kOrigins{Origin::kInferred, Origin::kPropagated, Origin::kReused};

void write_frames(PrometheusText& page, const RunReport& report) {
  page.family("framemill_frames_captured_total", Type::kCounter,
              "Frames that the camera delivered.");
  for (const CameraReport& camera : report.cameras)
    page.sample({{"camera", camera.id}}, static_cast<double>(camera.counts.captured));
  page.family("framemill_frames_total", Type::kCounter,
              "Captured frames by what became of them; the sum and those in flight are all.");
  for (const CameraReport& camera : report.cameras) {
    for (std::size_t i = 0; i < kOutcomeCount; ++i) {
      page.sample({{"camera", camera.id}, {"outcome", kOutcomeNames[i]}},
                  static_cast<double>(camera.counts.outcomes[i]));
    }
  }
  page.family("framemill_frames_in_flight", Type::kGauge,
              "Sampled frames that have no answer yet, over all cameras.");
  page.sample(static_cast<double>(report.total.in_flight));
  page.family("framemill_answers_overdue_total", Type::kCounter,
              "Answers published after their deadline.");
  for (const CameraReport& camera : report.cameras)
    page.sample({{"camera", camera.id}}, static_cast<double>(camera.counts.overdue));
}

void write_latency(PrometheusText& page, const RunReport& report) {
  page.family("framemill_answer_latency_seconds", Type::kHistogram,
              "From the capture of a frame to the hand-over of its answer, by what the "
              "camera's priority was then; cameras that were removed included.");
  for (const Priority priority : kPriorities) {
    for (std::size_t origin = 0; origin < kOrigins.size(); ++origin) {
      const LatencyHistogram& latency =
          report.parted.latency[static_cast<std::size_t>(priority)][origin];
      if (latency.count() == 0) continue;
      page.histogram({{"priority", to_string(priority)}, {"origin", to_string(kOrigins[origin])}},
                     latency, kLatencyBounds);
    }
  }
}

void write_cameras(PrometheusText& page, const RunReport& report) {
  page.family("framemill_camera_up", Type::kGauge,
              "1 while frames come from the camera and change, else 0.");
  for (const CameraReport& camera : report.cameras) {
    page.sample({{"camera", camera.id}}, camera.status.state == CameraState::kUp ? 1 : 0);
  }
  page.family("framemill_camera_state", Type::kGauge, "1 for the state that the camera is in.");
  for (const CameraReport& camera : report.cameras) {
    page.sample({{"camera", camera.id}, {"state", to_string(camera.status.state)}}, 1);
  }
  page.family("framemill_camera_slo_seconds", Type::kGauge, "The latency promised.");
  for (const CameraReport& camera : report.cameras)
    page.sample({{"camera", camera.id}, {"priority", to_string(camera.priority)}},
                to_seconds(camera.slo));
  page.family("framemill_camera_reconnects_total", Type::kCounter, "Times it was connected anew.");
  for (const CameraReport& camera : report.cameras)
    page.sample({{"camera", camera.id}}, static_cast<double>(camera.status.reconnects));
  page.family("framemill_decode_errors_total", Type::kCounter,
              "Frames or packets of the camera that could not be decoded.");
  for (const CameraReport& camera : report.cameras)
    page.sample({{"camera", camera.id}}, static_cast<double>(camera.status.source.decode_errors));
}

bool is_known(const std::optional<FidelityFigure>& figure) {
  return figure && figure->state == FidelityState::kKnown;
}

void write_fidelity(PrometheusText& page, const RunReport& report) {
  const auto of_cameras = [&](std::string_view name, std::string_view help, auto value_of) {
    page.family(name, Type::kGauge, help);
    for (const CameraReport& camera : report.cameras) {
      if (is_known(camera.fidelity))
        page.sample({{"camera", camera.id}}, static_cast<double>(value_of(*camera.fidelity)));
    }
  };
  of_cameras("framemill_fidelity_ratio",
             "Agreement of the answers with the model on the same frames, over the last 128 to 256 "
             "audits, where it is known; of its group while the camera has too few of its own.",
             [](const FidelityFigure& figure) { return figure.value; });
  of_cameras("framemill_fidelity_low_ratio", "Lower end of its 95 % interval.",
             [](const FidelityFigure& figure) { return figure.low; });
  of_cameras("framemill_fidelity_high_ratio", "Upper end of its 95 % interval.",
             [](const FidelityFigure& figure) { return figure.high; });
  of_cameras("framemill_fidelity_of_group",
             "1 where the camera's fidelity is that of its group, else 0.",
             [](const FidelityFigure& figure) { return figure.is_of_group; });
  if (is_known(report.fidelity)) {
    const auto of_run = [&](std::string_view name, std::string_view help, double value) {
      page.family(name, Type::kGauge, help);
      page.sample(value);
    };
    of_run("framemill_run_fidelity_ratio", "The same over all cameras.", report.fidelity->value);
    of_run("framemill_run_fidelity_low_ratio", "Lower end of its 95 % interval.",
           report.fidelity->low);
    of_run("framemill_run_fidelity_high_ratio", "Upper end of its 95 % interval.",
           report.fidelity->high);
  }
  if (report.fidelity_target) {
    page.family("framemill_fidelity_target_ratio", Type::kGauge,
                "The fidelity that is to be held.");
    page.sample(report.fidelity_target->target);
  }
}

/// A camera's frames go to any device and rung, so these are counted by the devices: as what they
/// were sent, whether their result came in time or not.
void write_inferences_of_devices(PrometheusText& page, const RunReport& report) {
  for (const DeviceReport& device : report.devices) {
    for (std::size_t model = 0; model < device.inferences.size(); ++model) {
      for (std::size_t rung = 0; rung < device.inferences[model].size(); ++rung) {
        for (std::size_t i = 0; i < kInferencePurposeNames.size(); ++i) {
          page.sample({{"model", report.model_names[model]},
                       {"variant", report.ladders[model][rung]},
                       {"device", device.name},
                       {"purpose", kInferencePurposeNames[i]}},
                      static_cast<double>(device.inferences[model][rung][i]));
        }
      }
    }
  }
}

void write_inferences(PrometheusText& page, const RunReport& report) {
  page.family("framemill_inferences_total", Type::kCounter,
              "Inferences, by what they were for; the variant is the rung of the model's ladder.");
  const bool has_ladder =
      std::ranges::any_of(report.ladders, [](const auto& rungs) { return rungs.size() > 1; });
  if (has_ladder || report.devices.size() > 1) return write_inferences_of_devices(page, report);
  for (std::size_t model = 0; model < report.models.size(); ++model) {
    for (std::size_t i = 0; i < kInferencePurposeNames.size(); ++i) {
      page.sample({{"model", report.model_names[model]},
                   {"variant", report.models[model].name},
                   {"device", report.models[model].device},
                   {"purpose", kInferencePurposeNames[i]}},
                  static_cast<double>(report.parted.inferences[model][i]));
    }
  }
}

/// Of each model that a device has.
void write_models_of_devices(PrometheusText& page, const RunReport& report) {
  const auto family = [&](std::string_view name, Type type, std::string_view help, auto value_of) {
    page.family(name, type, help);
    for (const DeviceReport& device : report.devices) {
      for (std::size_t model = 0; model < device.hosted.size(); ++model) {
        for (std::size_t rung = 0; rung < device.hosted[model].size(); ++rung) {
          const HostedModel& hosted = device.hosted[model][rung];
          if (!hosted.is_hosted) continue;
          page.sample({{"model", report.model_names[model]},
                       {"variant", report.ladders[model][rung]},
                       {"device", device.name}},
                      value_of(hosted));
        }
      }
    }
  };
  family("framemill_model_up", Type::kGauge,
         "1 while the device takes the model's batches, 0 while the device, the model or one input "
         "size of it is out and being probed.",
         [](const HostedModel& hosted) { return hosted.is_serving ? 1.0 : 0.0; });
  family("framemill_model_outages_total", Type::kCounter,
         "Times the model, or one input size of it, was taken out alone on the device: its batches "
         "failed while others came through.",
         [](const HostedModel& hosted) { return static_cast<double>(hosted.outages); });
}

void write_devices(PrometheusText& page, const RunFigures& figures) {
  const std::vector<DeviceReport>& devices = figures.report.devices;
  page.family("framemill_device_up", Type::kGauge,
              "1 while the device takes batches, 0 while it is out and being probed.");
  for (const DeviceReport& device : devices)
    page.sample({{"device", device.name}}, device.is_serving ? 1 : 0);
  page.family("framemill_device_outages_total", Type::kCounter,
              "Times the device was taken out: batches failed, hung, or it was gone.");
  for (const DeviceReport& device : devices)
    page.sample({{"device", device.name}}, static_cast<double>(device.outages));
  write_models_of_devices(page, figures.report);
  const auto gauge = [&](std::string_view name, std::string_view help, auto value_of) {
    if (std::ranges::none_of(figures.devices,
                             [&](const DeviceFigures& d) { return value_of(d).has_value(); }))
      return;
    page.family(name, Type::kGauge, help);
    for (const DeviceFigures& device : figures.devices) {
      if (const auto value = value_of(device))
        page.sample({{"device", device.device}}, static_cast<double>(*value));
    }
  };
  page.family("framemill_batch_frames_max", Type::kGauge,
              "Frames to a batch at most, as it stands: the knee, or what the rule of utilisation "
              "has come to; of the model that takes most.");
  page.sample(static_cast<double>(figures.report.batch_frames));
  gauge("framemill_batch_size", "Frames to a batch on average since the start.",
        [](const DeviceFigures& d) { return d.batch_mean; });
  gauge("framemill_device_utilization_ratio",
        "How busy framemill keeps the device: of the inferences that it can have going there side "
        "by side, the share that was, over the last second.",
        [](const DeviceFigures& d) { return d.utilization; });
  const auto card_gauge = [&gauge](std::string_view name, std::string_view help, auto field) {
    gauge(name, help, [field](const DeviceFigures& device) {
      using Value = std::decay_t<decltype(GpuReading().*field)>;
      return device.gpu ? *device.gpu.*field : Value();
    });
  };
  card_gauge("framemill_device_card_utilization_ratio",
             "How busy the device's card is with the work of all programs: share of the time that "
             "it computed, over the driver's own window. Devices on one card show the same.",
             &GpuReading::utilization);
  card_gauge("framemill_device_memory_bytes",
             "Memory of the device's card in use, by all programs. Devices on one card show the "
             "same.",
             &GpuReading::memory_used_bytes);
  card_gauge("framemill_device_temperature_celsius", "Temperature of the device's card.",
             &GpuReading::temperature_c);
  card_gauge("framemill_device_power_watts", "Power that the device's card draws.",
             &GpuReading::power_w);
}

void write_host(PrometheusText& page, const RunReport& report, const RunFigures& figures) {
  const HostReading& host = figures.host;
  if (host.cpu_utilization) {
    page.family("framemill_host_cpu_utilization_ratio", Type::kGauge,
                "Share of all cores that was busy in the last second.");
    page.sample(*host.cpu_utilization);
  }
  page.family("framemill_host_memory_used_bytes", Type::kGauge, "Memory of the machine in use.");
  page.sample(static_cast<double>(host.memory_used_bytes));
  page.family("framemill_host_memory_total_bytes", Type::kGauge, "Memory of the machine.");
  page.sample(static_cast<double>(host.memory_total_bytes));
  page.family("framemill_process_cpu_seconds_total", Type::kCounter,
              "Processor time since the start of the run.");
  page.sample(to_seconds(report.usage.cpu_user + report.usage.cpu_system));
  page.family("framemill_process_resident_memory_bytes", Type::kGauge, "Memory of the process.");
  page.sample(static_cast<double>(host.process_rss_bytes));
  page.family("framemill_process_threads", Type::kGauge, "Threads of the process.");
  page.sample(static_cast<double>(host.process_threads));
  page.family("framemill_process_open_descriptors", Type::kGauge,
              "Files and connections that the process holds open.");
  page.sample(static_cast<double>(host.process_descriptors));
  page.family("framemill_run_start_time_seconds", Type::kGauge, "When the run began.");
  page.sample(static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                      report.started_at.time_since_epoch())
                                      .count()) /
              1e3);
}

void write_sinks(PrometheusText& page, const RunReport& report) {
  if (report.sinks.empty()) return;
  const auto spooled = [&](std::string_view name, Type type, std::string_view help,
                           std::int64_t SpoolCounts::*count) {
    page.family(name, type, help);
    for (const SinkCounts& sink : report.sinks)
      page.sample({{"sink", sink.name}}, static_cast<double>(sink.spool.*count));
  };
  page.family("framemill_sink_written_total", Type::kCounter,
              "Answers that the sink took; of snapshots, pictures.");
  for (const SinkCounts& sink : report.sinks)
    page.sample({{"sink", sink.name}}, static_cast<double>(sink.written));
  page.family("framemill_sink_failing", Type::kGauge,
              "1 while the sink cannot be written, or cannot deliver to its peer, else 0.");
  for (const SinkCounts& sink : report.sinks)
    page.sample({{"sink", sink.name}}, sink.is_failing || !sink.spool.last_error.empty() ? 1 : 0);
  spooled("framemill_sink_spooled_bytes", Type::kGauge,
          "On disk, not delivered yet; 0 for a sink without a spool.", &SpoolCounts::waiting_bytes);
  spooled("framemill_sink_spooled_messages", Type::kGauge,
          "Answers and alarms on disk, not delivered yet.", &SpoolCounts::waiting);
  spooled("framemill_sink_delivered_total", Type::kCounter, "Messages that the sink's peer took.",
          &SpoolCounts::delivered);
  spooled(
      "framemill_sink_dropped_total", Type::kCounter,
      "Messages that its peer never got: the oldest where the spool was full, and those that it "
      "refused for good.",
      &SpoolCounts::dropped);
  spooled("framemill_sink_retries_total", Type::kCounter, "Deliveries that failed.",
          &SpoolCounts::retries);
  page.family("framemill_sink_lost_total", Type::kCounter,
              "Answers that the sink never got; of snapshots, pictures.");
  for (const SinkCounts& sink : report.sinks)
    page.sample({{"sink", sink.name}}, static_cast<double>(sink.lost));
}

void write_alarms(PrometheusText& page, const AlarmBoard& alarms) {
  const auto raised = alarms.raised_counts();
  if (raised.empty()) return;
  page.family("framemill_alarms_total", Type::kCounter, "Alarms raised.");
  for (const auto& [series, count] : raised) {
    const auto& [camera, rule, severity] = series;
    page.sample({{"camera", camera}, {"rule", rule}, {"severity", to_string(severity)}},
                static_cast<double>(count));
  }
}

}  // namespace

std::string metrics_page(const RunReport& report, const RunFigures& figures,
                         const AlarmBoard& alarms, const ServerFigures& server) {
  PrometheusText page;
  page.family("framemill_build_info", Type::kGauge, "1, with the version.");
  page.sample({{"version", FRAMEMILL_VERSION}}, 1);
  write_frames(page, report);
  write_latency(page, report);
  write_cameras(page, report);
  write_fidelity(page, report);
  write_inferences(page, report);
  write_devices(page, figures);
  write_host(page, report, figures);
  write_sinks(page, report);
  write_alarms(page, alarms);
  page.family("framemill_http_requests_total", Type::kCounter, "Requests to this server.");
  page.sample(static_cast<double>(server.http.requests));
  page.family("framemill_http_refused_total", Type::kCounter,
              "Requests and connections refused by a limit.");
  page.sample(static_cast<double>(server.http.refused));
  page.family("framemill_http_connections", Type::kGauge, "Connections open.");
  page.sample(static_cast<double>(server.http.connections));
  page.family("framemill_stream_clients", Type::kGauge, "WebSockets open.");
  page.sample(static_cast<double>(server.http.sockets));
  page.family("framemill_stream_dropped_total", Type::kCounter,
              "Messages that clients of the stream were too slow for.");
  page.sample(static_cast<double>(server.stream_dropped));
  return page.text();
}

}  // namespace framemill
