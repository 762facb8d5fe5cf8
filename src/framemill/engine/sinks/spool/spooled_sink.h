#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/engine/answer_json.h"
#include "framemill/engine/result_sink.h"
#include "framemill/engine/sinks/spool/outlet.h"
#include "framemill/engine/sinks/spool/spool.h"

namespace framemill {

struct SpooledSinkOptions {
  std::string name;    ///< for counters and logs
  std::string folder;  ///< of the spools
  std::string run_id;
  std::int64_t bytes_max = 256'000'000;  ///< on disk; a tenth of it for alarms
  bool has_answers = true, has_alarms = true;
  Duration retry_min = std::chrono::milliseconds(500);  ///< doubles with each failure
  Duration retry_max = std::chrono::seconds(30);
  Duration finish_patience = std::chrono::seconds(1);  ///< at the end, while the peer takes it
};

/// Everything for a peer goes to disk first, and from there to the peer by a thread of its own: a
/// peer that is slow or gone slows nothing and loses nothing, also over a restart, until the disk's
/// share is full. Alarms go before answers.
class SpooledSink final : public ResultSink {
 public:
  /// Errors: those of Spool::open().
  static Result<std::unique_ptr<SpooledSink>> create(SpooledSinkOptions options,
                                                     std::unique_ptr<Outlet> outlet,
                                                     const CameraDirectory& cameras);
  ~SpooledSink() override;

  [[nodiscard]] std::string_view name() const override { return options_.name; }
  Result<void> write(const Answer& answer) override;
  Result<void> write_alarm(const AlarmEvent& event) override;
  Result<void> write_status(const RunStatus& status) override;
  Result<void> flush() override;
  void finish() override;
  [[nodiscard]] bool wants_answers() const override { return options_.has_answers; }
  [[nodiscard]] bool wants_alarms() const override { return options_.has_alarms; }
  [[nodiscard]] bool wants_status() const override { return outlet_->wants_status(); }
  [[nodiscard]] SpoolCounts spool() const override;

 private:
  SpooledSink(SpooledSinkOptions options, std::unique_ptr<Outlet> outlet,
              const CameraDirectory& cameras);
  void run();
  /// Delivers one batch. Empty: nothing waits that is due; else whether it worked.
  std::optional<bool> deliver_some();
  /// Whether answers may still wait for company: there are few, and the last ones left just now.
  [[nodiscard]] bool may_linger() EXCLUDES(mu_);
  enum class What : std::uint8_t { kAlarms, kAnswers, kStatus };
  /// A peer may take the one and not the other. The status is noted where it failed, or where
  /// nothing waits.
  void note(What what, const Result<void>& result) EXCLUDES(mu_);
  void stop() EXCLUDES(mu_);

  const SpooledSinkOptions options_;
  const std::unique_ptr<Outlet> outlet_;
  const CameraDirectory& cameras_;
  std::unique_ptr<Spool> alarms_, answers_;             // synchronize themselves
  std::string text_;                                    ///< of the writing thread
  std::minstd_rand random_;                             ///< of thread_
  std::chrono::steady_clock::time_point linger_until_;  ///< of thread_: when answers are due
  bool is_lingering_ = false;                           ///< of thread_: some wait until then

  mutable Mutex mu_;
  CondVar changed_;
  bool has_news_ GUARDED_BY(mu_) = true;
  bool is_finishing_ GUARDED_BY(mu_) = false;
  bool is_stopping_ GUARDED_BY(mu_) = false;
  bool is_done_ GUARDED_BY(mu_) = false;
  std::shared_ptr<const RunStatus> status_ GUARDED_BY(mu_);  ///< the newest, not yet shown
  SpoolCounts counts_ GUARDED_BY(mu_);
  std::array<std::string, 3> errors_ GUARDED_BY(mu_);  ///< of the last attempt; by What
  std::thread thread_;                                 // last member
};

}  // namespace framemill
