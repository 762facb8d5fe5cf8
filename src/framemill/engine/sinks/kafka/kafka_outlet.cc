#include "framemill/engine/sinks/kafka/kafka_outlet.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "framemill/base/text_case.h"
#include "framemill/base/url.h"

namespace framemill {
namespace {

std::int64_t to_whole_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

bool is_refusal(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> kafka_properties(const KafkaOptions& options) {
  const bool is_safe = url_scheme(options.url) == "kafkas";
  const bool has_sasl = !options.username.empty();
  const std::int64_t timeout_ms = to_whole_ms(options.timeout);
  std::vector<std::pair<std::string, std::string>> properties{
      {"bootstrap.servers", options.url.substr(options.url.find("://") + 3)},
      {"client.id", options.client_id},
      {"security.protocol",
       has_sasl ? (is_safe ? "sasl_ssl" : "sasl_plaintext") : (is_safe ? "ssl" : "plaintext")},
      {"acks", "all"},
      {"enable.idempotence", "true"},
      {"message.timeout.ms", std::to_string(timeout_ms)},
      {"socket.connection.setup.timeout.ms",
       std::to_string(std::max<std::int64_t>(timeout_ms, 1000))},
      // A topic that is not there is said to be missing before the message's own time is over.
      {"topic.metadata.propagation.max.ms", std::to_string(timeout_ms / 2)},
      {"socket.keepalive.enable", "true"},
      {"linger.ms", "1"},  // messages come in batches already
      {"compression.codec", "lz4"},
      // As Java's clients choose it, so that their keys and ours meet in one partition.
      {"partitioner", "murmur2_random"}};
  const auto add = [&](const char* property, const std::string& value) {
    if (!value.empty()) properties.emplace_back(property, value);
  };
  add("ssl.ca.location", options.ca_file);
  add("ssl.certificate.location", options.cert_file);
  add("ssl.key.location", options.key_file);
  if (has_sasl) {
    add("sasl.mechanism", to_upper(options.sasl.empty() ? "scram-sha-512" : options.sasl));
    add("sasl.username", options.username);
    add("sasl.password", options.password);
  }
  return properties;
}

/// librdkafka's handle, and what it reports. Used by the delivering thread; librdkafka's own
/// threads only log.
class KafkaOutlet::Producer {
 public:
  static Result<std::unique_ptr<Producer>> create(const KafkaOptions& options) {
    std::unique_ptr<Producer> producer(new Producer);
    std::array<char, 512> why{};
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    for (const auto& [property, value] : kafka_properties(options)) {
      if (rd_kafka_conf_set(conf, property.c_str(), value.c_str(), why.data(), why.size()) ==
          RD_KAFKA_CONF_OK)
        continue;
      rd_kafka_conf_destroy(conf);
      return fail(ErrorCode::kInvalidArgument, std::string(why.data()));
    }
    rd_kafka_conf_set_opaque(conf, producer.get());
    rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char* text) {
      spdlog::debug("kafka: {}", text);
    });
    rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int error, const char* text, void* self) {
      static_cast<Producer*>(self)->note_error(static_cast<rd_kafka_resp_err_t>(error), text);
    });
    rd_kafka_conf_set_dr_msg_cb(conf,
                                [](rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
                                  static_cast<Producer*>(self)->note_delivery(message->err);
                                });
    producer->handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size());
    if (producer->handle_ == nullptr) {  // else it owns conf
      rd_kafka_conf_destroy(conf);
      return fail(ErrorCode::kInvalidArgument, std::string(why.data()));
    }
    return producer;
  }

  Producer(const Producer&) = delete;
  ~Producer() {
    if (handle_ == nullptr) return;
    // Nothing may be sent any more: it is sent again by the next one.
    rd_kafka_purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy_flags(handle_, 0);
  }

  void begin() {
    rd_kafka_poll(handle_, 0);  // what was said while nothing was sent is of the past
    outstanding_ = 0;
    are_all_down_ = false;
    error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  }

  /// What became of it is said by wait().
  void produce(const std::string& topic, const Message& message) {
    const std::string_view key = message.camera.empty() ? "-" : std::string_view(message.camera);
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        handle_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_KEY(key.data(), key.size()),
        // Copied: librdkafka does not write to it, but its type says it might.
        RD_KAFKA_V_VALUE(const_cast<char*>(message.body.data()), message.body.size()),
        RD_KAFKA_V_HEADER("idempotency-key", message.key.data(),
                          static_cast<ssize_t>(message.key.size())),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    ++outstanding_;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) note_delivery(error);
  }

  /// Waits until the brokers have said what became of everything.
  Result<void> wait(std::chrono::steady_clock::time_point until,
                    const std::atomic<bool>& is_interrupted) {
    while (outstanding_ > 0) {
      if (is_interrupted) return fail(ErrorCode::kCancelled, "the run ends");
      if (are_all_down_ || std::chrono::steady_clock::now() >= until)
        return failure(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
      rd_kafka_poll(handle_, 50);
    }
    if (error_ != RD_KAFKA_RESP_ERR_NO_ERROR) return failure(error_);
    return {};
  }

 private:
  Producer() = default;

  [[nodiscard]] Failure failure(rd_kafka_resp_err_t error) const {
    if (is_refusal(error)) return fail(ErrorCode::kInvalidArgument, rd_kafka_err2str(error));
    // A message that timed out says nothing; what was wrong with the brokers meanwhile does.
    const bool is_telling = error != RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || trouble_.empty();
    return fail(ErrorCode::kUnavailable, is_telling ? rd_kafka_err2str(error) : trouble_);
  }
  void note_error(rd_kafka_resp_err_t error, std::string_view text) {
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
      are_all_down_ = true;
    else
      trouble_ = text;
  }
  void note_delivery(rd_kafka_resp_err_t error) {
    --outstanding_;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    // One that may be tried again outweighs a refusal: then all of them are.
    if (error_ == RD_KAFKA_RESP_ERR_NO_ERROR || is_refusal(error_)) error_ = error;
  }

  rd_kafka_t* handle_ = nullptr;
  std::int64_t outstanding_ = 0;  ///< handed over, not yet reported on
  bool are_all_down_ = false;
  std::string trouble_;  ///< what librdkafka said last of the brokers
  rd_kafka_resp_err_t error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
};

KafkaOutlet::KafkaOutlet(KafkaOptions options)
    : options_(std::move(options)),
      answers_topic_(options_.topic + ".answers"),
      alarms_topic_(options_.topic + ".alarms") {}

KafkaOutlet::~KafkaOutlet() = default;

Result<std::unique_ptr<KafkaOutlet>> KafkaOutlet::create(KafkaOptions options) {
  for (const std::string* const file : {&options.ca_file, &options.cert_file, &options.key_file}) {
    if (!file->empty() && ::access(file->c_str(), R_OK) != 0)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: cannot be read", *file));
  }
  std::unique_ptr<KafkaOutlet> outlet(new KafkaOutlet(std::move(options)));
  Result<std::unique_ptr<Producer>> producer = Producer::create(outlet->options_);
  if (!producer) return fail(producer.error());
  outlet->producer_ = std::move(*producer);
  return outlet;
}

Result<void> KafkaOutlet::send(std::span<const Message> messages) {
  if (!producer_) {
    Result<std::unique_ptr<Producer>> producer = Producer::create(options_);
    // Worked at the start, so it is not for good.
    if (!producer) return fail(ErrorCode::kUnavailable, producer.error().message());
    producer_ = std::move(*producer);
  }
  producer_->begin();
  const auto until = std::chrono::steady_clock::now() + options_.timeout + std::chrono::seconds(1);
  for (const Message& message : messages) {
    const bool is_alarm = message.kind == Message::Kind::kAlarm;
    producer_->produce(is_alarm ? alarms_topic_ : answers_topic_, message);
  }
  return producer_->wait(until, is_interrupted_);
}

Result<void> KafkaOutlet::deliver(std::span<const Message> messages) {
  if (messages.empty()) return {};
  if (is_interrupted_) return fail(ErrorCode::kCancelled, "the run ends");
  const Result<void> sent = send(messages);
  if (sent) return {};
  // What is still on its way is given up with the producer, so that nothing overtakes what is sent
  // again.
  if (sent.error().code() != ErrorCode::kInvalidArgument) producer_.reset();
  return fail(sent.error().at("brokers " + redact(options_.url)));
}

void KafkaOutlet::close() { producer_.reset(); }

}  // namespace framemill
