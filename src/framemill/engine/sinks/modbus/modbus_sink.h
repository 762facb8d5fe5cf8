#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>

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
/// keeps no queue: whoever asks sees the present. At most 16 clients; one that says nothing for a
/// minute, or half a request, is let go. Reading only.
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
  void set_rule(std::size_t rule, AlarmState state) REQUIRES(mu_);
  void sum_up() REQUIRES(mu_);
  void set_register(int address, std::int64_t value) REQUIRES(mu_);
  void set_wide(int address, std::int64_t value) REQUIRES(mu_);
  void set_bit(int address, bool value) REQUIRES(mu_);

  const ModbusSinkOptions options_;
  int port_ = 0;
  std::unique_ptr<Server> server_;
  std::atomic<bool> is_stopping_{false};
  Mutex mu_;  ///< guards the registers inside of server_, too
  std::map<std::size_t, AlarmState> open_ GUARDED_BY(mu_);  ///< by rule
  std::map<CameraIndex, std::pair<WallTime, std::int64_t>> answered_ GUARDED_BY(mu_);
  std::thread thread_;  // last member
};

}  // namespace framemill
