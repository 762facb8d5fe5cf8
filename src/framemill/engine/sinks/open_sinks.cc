#include "framemill/engine/sinks/open_sinks.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <unistd.h>

#include "framemill/config/rule_defaults.h"
#include "framemill/engine/json_lines_sink.h"
#include "framemill/engine/sinks/kafka/kafka_outlet.h"
#include "framemill/engine/sinks/modbus/modbus_sink.h"
#include "framemill/engine/sinks/mqtt/mqtt_outlet.h"
#include "framemill/engine/sinks/postgres/postgres_outlet.h"
#include "framemill/engine/sinks/spool/spooled_sink.h"
#include "framemill/engine/sinks/sqlite/sqlite_sink.h"
#include "framemill/engine/sinks/webhook/webhook_outlet.h"

namespace framemill {
namespace {

constexpr std::int64_t kMegabyte = 1'000'000;

/// A sink as a ResultSink, whatever its type.
template <typename Sink>
Result<std::unique_ptr<ResultSink>> as_sink(Result<std::unique_ptr<Sink>> sink) {
  if (!sink) return fail(sink.error());
  return std::unique_ptr<ResultSink>(std::move(*sink));
}

std::string name_of(const SinkSettings& sink) { return sink.name.empty() ? sink.type : sink.name; }

/// The same at each start, and unlike that of another machine or sink.
std::string usual_client_id(const SinkSettings& sink) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string id = fmt::format("framemill-{}-{}", host.data(), name_of(sink));
  std::ranges::replace_if(
      id, [](unsigned char c) { return std::isalnum(c) == 0 && c != '-'; }, '_');
  return id;
}

RegisterMap register_map(const RunSettings& settings) {
  std::vector<CameraId> cameras;
  std::vector<RegisterMap::Rule> rules;
  const auto add = [&](const CameraId& camera, const std::vector<RuleSettings>& all) {
    for (const RuleSettings& rule : all)
      rules.push_back({camera, rule.id, std::string(to_string(*rule.kind)), rule.severity});
  };
  for (const CameraSettings& camera : settings.cameras) {
    cameras.push_back(camera.id);
    add(camera.id, camera.rules);
  }
  add({}, settings.alarms.rules);
  return {std::move(cameras), std::move(rules)};
}

std::string spool_folder(const RunSettings& settings, const SinkSettings& sink) {
  return settings.engine.data + "/spool/" + name_of(sink);
}

std::string client_id_of(const SinkSettings& sink) {
  return sink.client_id.empty() ? usual_client_id(sink) : sink.client_id;
}

template <typename Outlet>
Result<std::unique_ptr<ResultSink>> spooled(const RunSettings& settings, const SinkSettings& sink,
                                            bool has_answers, bool has_alarms,
                                            const std::string& run_id,
                                            const CameraDirectory& cameras,
                                            Result<std::unique_ptr<Outlet>> outlet) {
  if (!outlet) return fail(outlet.error());
  SpooledSinkOptions options;
  options.name = name_of(sink);
  options.folder = spool_folder(settings, sink);
  options.run_id = run_id;
  options.bytes_max = sink.spool_mb * kMegabyte;
  options.has_answers = has_answers;
  options.has_alarms = has_alarms;
  return as_sink(SpooledSink::create(std::move(options), std::move(*outlet), cameras));
}

}  // namespace

Result<std::unique_ptr<ResultSink>> open_sink(const RunSettings& settings, std::size_t index,
                                              const std::string& run_id,
                                              const CameraDirectory& cameras) {
  const SinkSettings& sink = settings.sinks[index];
  std::string send = sink.send;
  if (send.empty())
    send = sink.type == "jsonl" ? "answers" : sink.type == "webhook" ? "alarms" : "all";
  const bool has_answers = send != "alarms";
  const bool has_alarms = send != "answers";
  if (sink.type == "jsonl") {
    return as_sink(JsonLinesSink::create({.path = sink.path,
                                          .run_id = run_id,
                                          .has_answers = has_answers,
                                          .has_alarms = has_alarms,
                                          .file_bytes_max = sink.size_mb * kMegabyte,
                                          .old_files = static_cast<std::size_t>(sink.files)},
                                         cameras));
  }
  if (sink.type == "sqlite") {
    return as_sink(SqliteSink::create({.path = sink.path,
                                       .run_id = run_id,
                                       .has_answers = has_answers,
                                       .has_alarms = has_alarms,
                                       .keep = sink.keep,
                                       .bytes_max = sink.size_mb * kMegabyte},
                                      cameras));
  }
  if (sink.type == "mqtt") {
    MqttOptions options{.url = sink.url,
                        .username = sink.username,
                        .password = sink.password,
                        .ca_file = sink.ca_file,
                        .cert_file = sink.cert_file,
                        .key_file = sink.key_file,
                        .topic = sink.topic,
                        .client_id = client_id_of(sink),
                        .is_version_5 = sink.version == "5",
                        .discovery = sink.discovery,
                        .memory = spool_folder(settings, sink) + "/retained",
                        .timeout = sink.timeout};
    return spooled(settings, sink, has_answers, has_alarms, run_id, cameras,
                   MqttOutlet::create(std::move(options)));
  }
  if (sink.type == "webhook") {
    WebhookOptions options{.url = sink.url,
                           .username = sink.username,
                           .password = sink.password,
                           .ca_file = sink.ca_file,
                           .cert_file = sink.cert_file,
                           .key_file = sink.key_file,
                           .secret = sink.secret,
                           .batch = static_cast<std::size_t>(sink.batch),
                           .timeout = sink.timeout};
    return spooled(settings, sink, has_answers, has_alarms, run_id, cameras,
                   WebhookOutlet::create(std::move(options)));
  }
  if (sink.type == "postgres") {
    PostgresOptions options{.url = sink.url,
                            .username = sink.username,
                            .password = sink.password,
                            .sslmode = sink.sslmode,
                            .ca_file = sink.ca_file,
                            .cert_file = sink.cert_file,
                            .key_file = sink.key_file,
                            .schema = sink.schema,
                            .timeout = sink.timeout};
    return spooled(settings, sink, has_answers, has_alarms, run_id, cameras,
                   PostgresOutlet::create(std::move(options)));
  }
  if (sink.type == "kafka") {
    KafkaOptions options{.url = sink.url,
                         .username = sink.username,
                         .password = sink.password,
                         .sasl = sink.sasl,
                         .ca_file = sink.ca_file,
                         .cert_file = sink.cert_file,
                         .key_file = sink.key_file,
                         .topic = sink.topic,
                         .client_id = client_id_of(sink),
                         .timeout = sink.timeout};
    return spooled(settings, sink, has_answers, has_alarms, run_id, cameras,
                   KafkaOutlet::create(std::move(options)));
  }
  if (sink.type == "modbus") {
    return as_sink(ModbusSink::create(
        {.listen = sink.listen, .map = register_map(settings), .map_path = sink.map}));
  }
  return fail(ErrorCode::kUnsupported,
              fmt::format("type {} is not supported by this build", sink.type));
}

}  // namespace framemill
