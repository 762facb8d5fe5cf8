#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include "framemill/base/bounded_queue.h"
#include "framemill/engine/result_sink.h"

namespace framemill {

/// What became of the answers that one sink wanted. At the end written + lost of them were due.
struct SinkCounts {
  std::string name;
  std::string_view unit = "answers";  ///< see ResultSink::unit()
  std::int64_t written = 0;
  std::int64_t lost = 0;    ///< offered but never written: queue full, or the sink failed for good
  std::string last_error;   ///< empty: none so far
  bool is_failing = false;  ///< with that error, now; false: it works, or works again
  std::int64_t alarms = 0;  ///< changes of alarms written
  SpoolCounts spool;
};

/// Gives one sink a bounded queue and a thread of its own, so a slow sink never slows the engine at
/// live pace. A sink that fails in a way that may pass (disk full) is tried again each
/// `retry_every` while the queue holds what comes; what does not fit is counted as lost.
/// Thread-safety: offer() and counts() from any thread; stop() once.
class SinkRunner {
 public:
  enum class WhenFull { kLose, kWait };
  struct Options {
    std::size_t answers_max = 65'536;
    WhenFull when_full = WhenFull::kLose;
    std::size_t alarms_max = 16'384;
    Duration retry_every = std::chrono::seconds(1);
    Duration give_up_after{0};  ///< of failing without a success: the sink counts as dead; 0: never
    Duration stop_patience = std::chrono::seconds(2);  ///< for retries after stop()
    /// How long answers may gather before they are taken together: hundreds a second would wake the
    /// thread, and flush the sink, hundreds of times. Alarms and stop() do not wait.
    Duration gather{0};
  };

  /// `on_dead` is called once, from the sink's thread, when it failed for good; may be empty.
  SinkRunner(std::unique_ptr<ResultSink> sink, Options options, std::function<void(Error)> on_dead);
  SinkRunner(const SinkRunner&) = delete;  // the thread holds `this`: no copy, no move
  ~SinkRunner();

  /// Whether offer() may have it: others the sink does not get, and they need not be copied.
  [[nodiscard]] bool wants(const Answer& answer) const { return sink_->wants(answer); }
  /// Of an answer that it wants(). Never blocks with WhenFull::kLose. A sink gets no pictures that
  /// it does not want.
  void offer(Answer&& answer);
  /// Never blocks. Alarms go before the answers that wait; one that finds no room, or no sink that
  /// works, stays unsettled.
  void offer_alarm(const AlarmEvent& event);
  /// Lost where the queue is full: the next one says it all.
  void offer_status(std::shared_ptr<const RunStatus> status);
  /// Refuses new answers and lets the thread end once it has written those that are queued. Returns
  /// at once; idempotent.
  void request_stop();
  /// After request_stop(): whether all that was queued is dealt with by `give_up_at`.
  bool wait_until_done(std::chrono::steady_clock::time_point give_up_at) EXCLUDES(mu_);
  /// request_stop(), and waits; the sink writes what it takes in time.
  void stop();
  [[nodiscard]] SinkCounts counts() const EXCLUDES(mu_);
  /// How many of the alarms offered so far, in their order, are where they belong. Those of a sink
  /// that wants none count at once.
  [[nodiscard]] std::int64_t alarms_settled() const { return alarms_settled_; }
  [[nodiscard]] bool wants_status() const { return sink_->wants_status(); }
  [[nodiscard]] bool wants_pictures() const { return sink_->wants_pictures(); }

 private:
  struct Wake {};
  using Item = std::variant<Answer, std::shared_ptr<const RunStatus>, Wake>;

  void run();
  /// Waits `gather`, or until an alarm comes or stop().
  void gather() EXCLUDES(mu_);
  /// Tries until it works, the sink is dead, or patience after stop() ends; true where it worked.
  bool insist(const std::function<Result<void>()>& attempt);
  void note_error(const Error& error) EXCLUDES(mu_);
  void note_success() {
    if (is_failing_) is_failing_ = is_dead_.load();
  }

  const std::unique_ptr<ResultSink> sink_;  // used by thread_ only
  const Options options_;
  const std::function<void(Error)> on_dead_;
  /// When a failing attempt first saw stop(): patience is for all that is left. Used by thread_
  /// only.
  std::optional<std::chrono::steady_clock::time_point> stop_seen_;
  BoundedQueue<Item> queue_;              // synchronizes itself
  BoundedQueue<AlarmEvent> alarm_queue_;  // likewise
  std::atomic<bool> is_alarm_missing_{false};
  std::atomic<std::int64_t> written_{0};
  std::atomic<std::int64_t> lost_{0};
  std::atomic<std::int64_t> alarms_{0};
  std::atomic<std::int64_t> alarms_settled_{0};
  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> is_dead_{false};
  std::atomic<bool> is_failing_{false};
  mutable Mutex mu_;
  CondVar stopping_;  // wakes what waits: a retry, answers that gather, for the end
  bool has_alarm_ GUARDED_BY(mu_) = false;  ///< came while answers gathered
  bool is_done_ GUARDED_BY(mu_) = false;    ///< the thread has nothing left to do
  std::string last_error_ GUARDED_BY(mu_);
  std::thread thread_;  // last member: starts after everything it uses
};

}  // namespace framemill
