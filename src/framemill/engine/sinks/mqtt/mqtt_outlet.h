#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "framemill/base/clock.h"
#include "framemill/engine/sinks/mqtt/retained_topics.h"
#include "framemill/engine/sinks/spool/outlet.h"

namespace framemill {

struct MqttOptions {
  std::string url;  ///< mqtt://HOST[:PORT] or mqtts://HOST[:PORT]
  std::string username, password;
  std::string ca_file, cert_file, key_file;  ///< PEM; empty: the system's, none
  std::string topic = "framemill";           ///< what all topics begin with
  std::string client_id;                     ///< unique at the broker
  bool is_version_5 = true;                  ///< else 3.1.1
  std::string discovery;                     ///< Home Assistant's prefix; empty: none
  std::string memory;                        ///< file for what has to be cleared some day
  Duration timeout = std::chrono::seconds(10);
};

/// An MQTT broker, all with QoS 1:
///   <topic>/status                   "online", or "offline" by the last will; retained
///   <topic>/answers/<camera>         each answer, as a result line
///   <topic>/alarms/<camera>/<rule>   each change of an alarm; retained, so that whoever comes
///   later
///                                    knows how it stands. Camera "-": of the whole run
///   <topic>/cameras/<camera>/state   {"state":"up",...} whenever it changes; retained
/// With discovery, cameras and rules are announced to Home Assistant with each connection. What is
/// retained of a camera or rule that is no more is cleared, also where it went between two runs.
class MqttOutlet final : public Outlet {
 public:
  /// Errors: kInvalidArgument (certificates that cannot be read). Does not connect yet.
  static Result<std::unique_ptr<MqttOutlet>> create(MqttOptions options);
  ~MqttOutlet() override;

  Result<void> deliver(std::span<const Message> messages) override;
  Result<void> show(const RunStatus& status) override;
  void close() override;
  void interrupt() override { is_interrupted_ = true; }
  [[nodiscard]] std::size_t batch_max() const override { return 100; }
  [[nodiscard]] bool wants_status() const override { return true; }

 private:
  struct Client;
  explicit MqttOutlet(MqttOptions options);
  Result<void> connect();
  /// Waits until the broker has acknowledged all that was published.
  Result<void> wait_for_all();
  Result<void> publish(const std::string& topic, std::string_view payload, bool is_retained);
  /// The same, to stay; it is remembered that something is there.
  Result<void> leave(const std::string& topic, std::string_view payload);
  Result<void> show_cameras(const RunStatus& status);
  Result<void> clear_unwanted(const RunStatus& status);
  Failure not_acknowledged();
  /// Whether the broker took what it has acknowledged since the last look; with MQTT 3.1.1 it
  /// cannot say otherwise. Errors: kUnavailable (rights, quota), kInvalidArgument.
  Result<void> check_taken();
  void tell_refusal();
  Result<void> announce(const RunStatus& status);
  [[nodiscard]] std::string place() const;

  const MqttOptions options_;
  std::unique_ptr<Client> client_;
  std::atomic<bool> is_interrupted_{false};
  [[nodiscard]] std::string camera_topic(const CameraId& camera) const;
  [[nodiscard]] std::string alarm_topic(const CameraId& camera, const std::string& rule) const;
  [[nodiscard]] std::string discovery_topic(const std::string& object) const;
  [[nodiscard]] std::string node() const { return "framemill_" + options_.client_id; }

  // Since the connection was made.
  std::map<std::string, std::string> shown_;  ///< camera -> state
  std::set<std::string> announced_;           ///< objects of Home Assistant
  bool is_refusal_told_ = false;              ///< of what is only shown; once a run
  RetainedTopics retained_;
};

}  // namespace framemill
