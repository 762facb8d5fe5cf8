#include "framemill/engine/sinks/mqtt/mqtt_outlet.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include <MQTTClient.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "framemill/base/mutex.h"
#include "framemill/base/url.h"
#include "framemill/engine/answer_json.h"

namespace framemill {
namespace {

constexpr int kQos = 1;
constexpr int kKeepAliveS = 20;
constexpr int kConnectMaxS = 3;
constexpr Duration kGrace = std::chrono::seconds(5);  // a camera that is changed is away so long

/// What Home Assistant knows a camera, or a rule, by; letters, digits, '-' and '_' only.
std::string object_of(const CameraId& camera) {
  std::string object = camera;
  std::ranges::replace(object, '.', '_');
  return object;
}
std::string object_of(const RunStatus::Rule& rule) {
  return object_of((rule.camera_id.empty() ? "-" : rule.camera_id) + "_" + rule.id);
}

/// What Paho's address is made of: tcp://host:port or ssl://host:port.
std::string address_of(const std::string& url) {
  const bool is_safe = url_scheme(url) == "mqtts";
  std::string host = url.substr(url.find("://") + 3);
  while (!host.empty() && host.back() == '/') host.pop_back();
  const std::size_t bracket = host.rfind(']');  // of an IPv6 address
  const std::size_t colon = host.rfind(':');
  const bool has_port =
      colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  return fmt::format("{}://{}{}", is_safe ? "ssl" : "tcp", host,
                     has_port  ? ""
                     : is_safe ? ":8883"
                               : ":1883");
}

/// The library puts its own negative codes where only the protocol's are declared; reading those as
/// the enumeration is undefined.
int code_of(const MQTTResponse& response) {
  int code = 0;
  static_assert(sizeof(response.reasonCode) == sizeof(code));
  std::memcpy(&code, &response.reasonCode, sizeof(code));
  return code;
}

}  // namespace

struct MqttOutlet::Client {
  ~Client() {
    if (handle != nullptr) MQTTClient_destroy(&handle);
  }
  /// Waits until at most `most` messages are on their way; false: not before `until`, or not any
  /// more.
  bool wait(std::size_t most, std::chrono::steady_clock::time_point until,
            const std::atomic<bool>& is_interrupted) {
    const MutexLock lock(mu);
    while (open.size() > most && !is_lost && !is_interrupted) {
      const auto now = std::chrono::steady_clock::now();
      if (now >= until) return false;
      changed.wait_until(mu, std::min(until, now + std::chrono::milliseconds(100)));
    }
    return open.size() <= most && !is_lost;
  }
  void add(MQTTClient_deliveryToken token) {
    const MutexLock lock(mu);
    if (early.erase(token) == 0) open.insert(token);
  }
  void acknowledge(MQTTClient_deliveryToken token) {
    const MutexLock lock(mu);
    if (open.erase(token) == 0) early.insert(token);
    changed.notify_all();
  }
  void refuse(int code) {
    const MutexLock lock(mu);
    if (refusal == 0) refusal = code;
  }
  /// Why the broker did not take one of the messages since the last call; 0: it took all.
  int take_refusal() {
    const MutexLock lock(mu);
    return std::exchange(refusal, 0);
  }
  void forget() {
    const MutexLock lock(mu);
    open.clear();
    early.clear();
    refusal = 0;
  }

  MQTTClient handle = nullptr;
  std::size_t window = 1;            ///< messages on their way at most, as the broker allows
  std::atomic<bool> is_lost{false};  ///< set by Paho's thread, too
  Mutex mu;
  CondVar changed;
  std::set<MQTTClient_deliveryToken> open GUARDED_BY(mu);   ///< published, not yet acknowledged
  std::set<MQTTClient_deliveryToken> early GUARDED_BY(mu);  ///< acknowledged before add()
  int refusal GUARDED_BY(mu) = 0;                           ///< reason code, MQTT 5 only
};

MqttOutlet::MqttOutlet(MqttOptions options)
    : options_(std::move(options)),
      client_(std::make_unique<Client>()),
      retained_(RetainedTopics::load(options_.memory)) {}

MqttOutlet::~MqttOutlet() = default;

std::string MqttOutlet::place() const { return fmt::format("broker {}", redact(options_.url)); }

Result<std::unique_ptr<MqttOutlet>> MqttOutlet::create(MqttOptions options) {
  for (const std::string* const file : {&options.ca_file, &options.cert_file, &options.key_file}) {
    if (!file->empty() && ::access(file->c_str(), R_OK) != 0)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: cannot be read", *file));
  }
  std::unique_ptr<MqttOutlet> outlet(new MqttOutlet(std::move(options)));
  MQTTClient_init_options init = MQTTClient_init_options_initializer;
  init.do_openssl_init = 1;
  MQTTClient_global_init(&init);
  MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
  create.MQTTVersion = outlet->options_.is_version_5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  // What was not acknowledged is kept by the spool, so the client keeps nothing.
  const int code = MQTTClient_createWithOptions(
      &outlet->client_->handle, address_of(outlet->options_.url).c_str(),
      outlet->options_.client_id.c_str(), MQTTCLIENT_PERSISTENCE_NONE, nullptr, &create);
  if (code != MQTTCLIENT_SUCCESS)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: is not an address that MQTT can use ({})", outlet->place(), code));
  MQTTClient_setCallbacks(
      outlet->client_->handle, outlet->client_.get(),
      [](void* client, char*) { static_cast<Client*>(client)->is_lost = true; },
      [](void*, char* topic, int, MQTTClient_message* message) {  // nothing is subscribed to
        MQTTClient_freeMessage(&message);
        MQTTClient_free(topic);
        return 1;
      },
      // Paho's own waiting looks ten times a second only, which would be the limit of all.
      [](void* client, MQTTClient_deliveryToken token) {
        static_cast<Client*>(client)->acknowledge(token);
      });
  // An acknowledgement may say that the message was not taken. Called before the one above.
  if (outlet->options_.is_version_5) {
    MQTTClient_setPublished(
        outlet->client_->handle, outlet->client_.get(),
        [](void* client, int, int, MQTTProperties*, enum MQTTReasonCodes reason) {
          if (reason >= MQTTREASONCODE_UNSPECIFIED_ERROR)
            static_cast<Client*>(client)->refuse(reason);
        });
  }
  return outlet;
}

Result<void> MqttOutlet::connect() {
  if (!client_->is_lost && MQTTClient_isConnected(client_->handle)) return {};
  client_->is_lost = false;
  client_->forget();
  client_->window = batch_max();
  shown_.clear();
  announced_.clear();

  const std::string status_topic = options_.topic + "/status";
  MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
  will.topicName = status_topic.c_str();
  will.message = "offline";
  will.retained = 1;
  will.qos = kQos;
  MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
  tls.verify = 1;
  tls.sslVersion = MQTT_SSL_VERSION_TLS_1_2;
  if (!options_.ca_file.empty())
    tls.trustStore = options_.ca_file.c_str();
  else
    tls.CApath = "/etc/ssl/certs";
  if (!options_.cert_file.empty()) {
    tls.keyStore = options_.cert_file.c_str();
    tls.privateKey = options_.key_file.c_str();
  }
  const MQTTClient_connectOptions usual_3 = MQTTClient_connectOptions_initializer;
  const MQTTClient_connectOptions usual_5 = MQTTClient_connectOptions_initializer5;
  MQTTClient_connectOptions options = options_.is_version_5 ? usual_5 : usual_3;
  options.keepAliveInterval = kKeepAliveS;
  options.reliable = 0;  // more than one message may be on its way
  options.maxInflightMessages = static_cast<int>(batch_max());
  // Paho cannot be interrupted while it connects, and a run has to end within seconds.
  options.connectTimeout =
      std::clamp(static_cast<int>(to_seconds(options_.timeout)), 1, kConnectMaxS);
  options.will = &will;
  if (!options_.username.empty()) {
    options.username = options_.username.c_str();
    options.password = options_.password.c_str();
  }
  if (url_scheme(options_.url) == "mqtts") options.ssl = &tls;

  int code = MQTTCLIENT_FAILURE;
  std::string reason;
  if (options_.is_version_5) {
    options.MQTTVersion = MQTTVERSION_5;
    MQTTResponse response = MQTTClient_connect5(client_->handle, &options, nullptr, nullptr);
    code = code_of(response);
    if (code == MQTTCLIENT_SUCCESS && response.properties != nullptr) {
      const int most =
          MQTTProperties_getNumericValue(response.properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM);
      if (most > 0) client_->window = std::min(client_->window, static_cast<std::size_t>(most));
    }
    if (code > 0) reason = MQTTReasonCode_toString(static_cast<MQTTReasonCodes>(code));
    MQTTResponse_free(response);
  } else {
    options.MQTTVersion = MQTTVERSION_3_1_1;
    code = MQTTClient_connect(client_->handle, &options);
    constexpr const char* kReasons[] = {"",
                                        "the protocol's version is refused",
                                        "the client's id is refused",
                                        "the broker is not available",
                                        "wrong user name or password",
                                        "not authorized"};
    if (code >= 1 && code <= 5) reason = kReasons[code];
  }
  if (code != MQTTCLIENT_SUCCESS)
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: no connection{}{}", place(), reason.empty() ? "" : ": ", reason));
  if (Result<void> said = publish(status_topic, "online", true); !said) return said;
  if (Result<void> done = wait_for_all(); !done) return done;
  tell_refusal();
  return {};
}

Result<void> MqttOutlet::publish(const std::string& topic, std::string_view payload,
                                 bool is_retained) {
  const auto until = std::chrono::steady_clock::now() + options_.timeout;
  if (!client_->wait(client_->window - 1, until, is_interrupted_)) return not_acknowledged();
  MQTTClient_message message = MQTTClient_message_initializer;
  message.payload = const_cast<char*>(payload.data());  // Paho only reads it
  message.payloadlen = static_cast<int>(payload.size());
  message.qos = kQos;
  message.retained = is_retained ? 1 : 0;
  MQTTClient_deliveryToken token = 0;
  int code = 0;
  if (options_.is_version_5) {
    const MQTTResponse response =
        MQTTClient_publishMessage5(client_->handle, topic.c_str(), &message, &token);
    code = code_of(response);
    MQTTResponse_free(response);
  } else {
    code = MQTTClient_publishMessage(client_->handle, topic.c_str(), &message, &token);
  }
  if (code != MQTTCLIENT_SUCCESS) {
    client_->is_lost = true;
    if (const Result<void> taken = check_taken(); !taken) return fail(taken.error());
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: the connection broke ({})", place(), code));
  }
  client_->add(token);
  return {};
}

Failure MqttOutlet::not_acknowledged() {
  client_->is_lost = true;  // a new connection: what was acknowledged is not known
  // Some brokers break the connection after it.
  if (const Result<void> taken = check_taken(); !taken) return fail(taken.error());
  return fail(ErrorCode::kUnavailable, fmt::format("{}: does not acknowledge", place()));
}

Result<void> MqttOutlet::wait_for_all() {
  const auto until = std::chrono::steady_clock::now() + options_.timeout;
  if (!client_->wait(0, until, is_interrupted_)) return not_acknowledged();
  return {};
}

std::string MqttOutlet::camera_topic(const CameraId& camera) const {
  return fmt::format("{}/cameras/{}/state", options_.topic, camera);
}

std::string MqttOutlet::alarm_topic(const CameraId& camera, const std::string& rule) const {
  return fmt::format("{}/alarms/{}/{}", options_.topic, camera.empty() ? "-" : camera, rule);
}

std::string MqttOutlet::discovery_topic(const std::string& object) const {
  return fmt::format("{}/binary_sensor/{}/{}/config", options_.discovery, node(), object);
}

Result<void> MqttOutlet::leave(const std::string& topic, std::string_view payload) {
  retained_.add(topic);
  return publish(topic, payload, true);
}

Result<void> MqttOutlet::deliver(std::span<const Message> messages) {
  if (is_interrupted_) return fail(ErrorCode::kCancelled, "the run ends");
  if (Result<void> connected = connect(); !connected) return connected;
  for (const Message& message : messages) {
    // An alarm whose rule has gone since is left, too, and cleared with the next status.
    const Result<void> sent =
        message.kind == Message::Kind::kAlarm
            ? leave(alarm_topic(message.camera, message.rule), message.body)
            : publish(fmt::format("{}/answers/{}", options_.topic, message.camera), message.body,
                      false);
    if (!sent) return sent;
  }
  if (Result<void> done = wait_for_all(); !done) return done;
  return check_taken();
}

Result<void> MqttOutlet::check_taken() {
  const int reason = client_->take_refusal();
  if (reason == 0) return {};
  // Rights and quotas may be given; what is wrong with a message stays wrong.
  const bool is_for_good = reason == MQTTREASONCODE_TOPIC_NAME_INVALID ||
                           reason == MQTTREASONCODE_PACKET_TOO_LARGE ||
                           reason == MQTTREASONCODE_PAYLOAD_FORMAT_INVALID;
  return fail(is_for_good ? ErrorCode::kInvalidArgument : ErrorCode::kUnavailable,
              fmt::format("{}: does not take messages below {}: {}; see the rights of this client "
                          "there",
                          place(), options_.topic,
                          MQTTReasonCode_toString(static_cast<MQTTReasonCodes>(reason))));
}

Result<void> MqttOutlet::show(const RunStatus& status) {
  if (is_interrupted_) return fail(ErrorCode::kCancelled, "the run ends");
  if (Result<void> connected = connect(); !connected) return connected;
  if (!options_.discovery.empty()) {
    if (Result<void> announced = announce(status); !announced) return announced;
  }
  if (Result<void> shown = show_cameras(status); !shown) return shown;
  if (Result<void> cleared = clear_unwanted(status); !cleared) return cleared;
  tell_refusal();
  return {};
}

/// Answers and alarms are delivered all the same where only the state of cameras is refused.
void MqttOutlet::tell_refusal() {
  const Result<void> taken = check_taken();
  if (!taken && !is_refusal_told_) spdlog::warn("{}", taken.error().message());
  is_refusal_told_ |= !taken;
}

Result<void> MqttOutlet::show_cameras(const RunStatus& status) {
  std::map<std::string, std::string> changed;
  for (const RunStatus::Camera& camera : status.cameras) {
    if (const auto known = shown_.find(camera.id);
        known != shown_.end() && known->second == camera.state)
      continue;
    const std::string payload = nlohmann::json{
        {"state", camera.state},
        {"at", format_wall_time(status.at)},
        {"run", status.run_id}}.dump();
    if (Result<void> sent = leave(camera_topic(camera.id), payload); !sent) return sent;
    changed[camera.id] = camera.state;
  }
  if (Result<void> done = wait_for_all(); !done) return done;
  for (auto& [id, state] : changed) shown_[id] = state;
  return {};
}

Result<void> MqttOutlet::clear_unwanted(const RunStatus& status) {
  std::set<std::string> wanted;
  for (const RunStatus::Camera& camera : status.cameras) {
    wanted.insert(camera_topic(camera.id));
    wanted.insert(discovery_topic(object_of(camera.id)));
  }
  for (const RunStatus::Rule& rule : status.rules) {
    wanted.insert(alarm_topic(rule.camera_id, rule.id));
    wanted.insert(discovery_topic(object_of(rule)));
  }
  const std::vector<std::string> unwanted =
      retained_.find_unwanted(wanted, std::chrono::steady_clock::now(), kGrace);
  if (unwanted.empty()) return {};
  for (const std::string& topic : unwanted) {
    if (Result<void> sent = publish(topic, "", true); !sent) return sent;
  }
  if (Result<void> done = wait_for_all(); !done) return done;
  retained_.remove(unwanted);
  // One that comes back later is shown and announced anew.
  std::erase_if(shown_, [&](const auto& one) { return !wanted.contains(camera_topic(one.first)); });
  std::erase_if(announced_,
                [&](const std::string& one) { return !wanted.contains(discovery_topic(one)); });
  return {};
}

Result<void> MqttOutlet::announce(const RunStatus& status) {
  std::set<std::string> fresh;
  const nlohmann::json device{
      {"identifiers", {node()}}, {"name", options_.client_id}, {"manufacturer", "framemill"}};
  const auto send = [&](const std::string& object, nlohmann::json config) -> Result<void> {
    config["unique_id"] = node() + "_" + object;
    config["device"] = device;
    config["availability_topic"] = options_.topic + "/status";
    fresh.insert(object);
    return leave(discovery_topic(object), config.dump());
  };
  for (const RunStatus::Camera& camera : status.cameras) {
    const std::string object = object_of(camera.id);
    if (announced_.contains(object)) continue;
    const Result<void> sent =
        send(object, {{"name", camera.id},
                      {"device_class", "connectivity"},
                      {"state_topic", camera_topic(camera.id)},
                      {"value_template", "{{ 'ON' if value_json.state == 'up' else 'OFF' }}"}});
    if (!sent) return sent;
  }
  for (const RunStatus::Rule& rule : status.rules) {
    const std::string object = object_of(rule);
    if (announced_.contains(object)) continue;
    const std::string topic = alarm_topic(rule.camera_id, rule.id);
    const std::string name = (rule.camera_id.empty() ? "-" : rule.camera_id) + " " + rule.id;
    const Result<void> sent =
        send(object, {{"name", name},
                      {"device_class", "problem"},
                      {"state_topic", topic},
                      {"value_template", "{{ 'OFF' if value_json.state == 'cleared' else 'ON' }}"},
                      {"json_attributes_topic", topic}});
    if (!sent) return sent;
  }
  if (fresh.empty()) return {};
  if (Result<void> done = wait_for_all(); !done) return done;
  announced_.merge(fresh);
  return {};
}

void MqttOutlet::close() {
  if (client_->is_lost || MQTTClient_isConnected(client_->handle) == 0) return;
  // Leaving in good order sends no last will, so the same is said here.
  const std::atomic<bool> is_free{false};
  is_interrupted_ = false;
  if (publish(options_.topic + "/status", "offline", true)) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    (void)client_->wait(0, until, is_free);
  }
  MQTTClient_disconnect(client_->handle, 200);
}

}  // namespace framemill
