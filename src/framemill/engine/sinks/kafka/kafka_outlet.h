#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/engine/sinks/spool/outlet.h"

namespace framemill {

struct KafkaOptions {
  std::string url;  ///< kafka://HOST[:PORT][,HOST...], or kafkas:// with TLS
  std::string username, password;
  std::string sasl;  ///< plain, scram-sha-256, scram-sha-512; empty: the last one, with a username
  std::string ca_file, cert_file, key_file;  ///< PEM; empty: the system's, none
  std::string topic = "framemill";
  std::string client_id = "framemill";
  Duration timeout = std::chrono::seconds(10);
};

/// What librdkafka is told, as its properties and their values. Pure.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> kafka_properties(
    const KafkaOptions& options);

/// A Kafka cluster: answers go to <topic>.answers, alarms to <topic>.alarms, each with its camera
/// as the key ("-": of the whole run), so that a camera's messages stay in order, and with its own
/// key in the header `idempotency-key`. Taken is what all replicas in sync have (acks=all); within
/// one connection nothing is there twice (idempotent producer), what is sent again after a failure
/// may be.
class KafkaOutlet final : public Outlet {
 public:
  /// Errors: kInvalidArgument (certificates that cannot be used). Does not wait for the brokers.
  static Result<std::unique_ptr<KafkaOutlet>> create(KafkaOptions options);
  ~KafkaOutlet() override;

  /// kInvalidArgument: the brokers refuse one of them, as too large or as invalid.
  Result<void> deliver(std::span<const Message> messages) override;
  void close() override;
  void interrupt() override { is_interrupted_ = true; }
  [[nodiscard]] std::size_t batch_max() const override { return 1000; }
  [[nodiscard]] Duration linger() const override { return std::chrono::milliseconds(50); }

 private:
  class Producer;
  explicit KafkaOutlet(KafkaOptions options);
  Result<void> send(std::span<const Message> messages);

  const KafkaOptions options_;
  const std::string answers_topic_, alarms_topic_;
  std::unique_ptr<Producer> producer_;  ///< null after a failure: the next deliver() makes another
  std::atomic<bool> is_interrupted_{false};
};

}  // namespace framemill
