#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "framemill/base/mutex.h"
#include "framemill/engine/result_sink.h"
#include "framemill/engine/sinks/modbus/register_map.h"

namespace framemill {

struct ModbusSinkOptions {
  std::string listen;  ///< HOST:PORT; port 0: any, see port()
  RegisterMap map;
  std::string map_path;  ///< where the map is written as a document; empty: nowhere
};

/// A Modbus/TCP server that shows how the run stands (RegisterMap), for PLCs and SCADA systems. It
/// keeps no queue: whoever asks sees the present. Alarms of rules that are not in the map, as those
/// that came while running, count in the sums. At most 16 clients; one that says nothing for a
/// minute, sends half a request, or does not read its replies is let go; none is waited for.
/// Reading only.
class ModbusSink final : public ResultSink {
 public:
  /// Errors: kInvalidArgument (address taken or wrong, document not writable).
  static Result<std::unique_ptr<ModbusSink>> create(ModbusSinkOptions options);
  ~ModbusSink() override;

  [[nodiscard]] std::string_view name() const override { return "modbus"; }
  Result<void> write(const Answer&) override { return {}; }
  Result<void> write_alarm(const AlarmEvent& event) override;
  Result<void> write_status(const RunStatus& status) override;
  Result<void> flush() override { return {}; }
  [[nodiscard]] bool wants_answers() const override { return false; }
  [[nodiscard]] bool wants_alarms() const override { return true; }
  [[nodiscard]] bool wants_status() const override { return true; }

  [[nodiscard]] int port() const { return port_; }

 private:
  struct Server;
  explicit ModbusSink(ModbusSinkOptions options);
  void run();
  /// Answers what a client has asked, without waiting for it. False: it is let go.
  bool serve(std::size_t place) EXCLUDES(mu_);
  using RuleKey = std::pair<CameraId, std::string>;
  struct OpenAlarm {
    AlarmState state = AlarmState::kRaised;
    AlarmSeverity severity = AlarmSeverity::kWarning;
  };
  /// Of any rule: only those in the map have bits and registers of their own.
  void set_rule(const RuleKey& rule, OpenAlarm alarm) REQUIRES(mu_);
  void sum_up() REQUIRES(mu_);
  void set_register(int address, std::int64_t value) REQUIRES(mu_);
  void set_wide(int address, std::int64_t value) REQUIRES(mu_);
  void set_bit(int address, bool value) REQUIRES(mu_);

  const ModbusSinkOptions options_;
  int port_ = 0;
  std::unique_ptr<Server> server_;
  std::atomic<bool> is_stopping_{false};
  Mutex mu_;  ///< guards the registers inside of server_, too
  std::map<RuleKey, OpenAlarm> open_ GUARDED_BY(mu_);
  std::map<CameraIndex, std::pair<WallTime, std::int64_t>> answered_ GUARDED_BY(mu_);
  std::thread thread_;  // last member
};

}  // namespace framemill
