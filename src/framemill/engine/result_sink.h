#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "framemill/base/result.h"
#include "framemill/core/alarm.h"
#include "framemill/core/answer.h"
#include "framemill/engine/run_status.h"

namespace framemill {

/// What waits on disk for a sink's peer, and what became of it.
struct SpoolCounts {
  std::int64_t waiting = 0;        ///< messages
  std::int64_t waiting_bytes = 0;  ///< on disk
  std::int64_t delivered = 0;      ///< taken by the peer, in this run
  std::int64_t dropped = 0;        ///< the oldest, where the disk's share was full
  std::int64_t retries = 0;        ///< deliveries that failed
  std::string last_error;          ///< of the last one; empty: none, or it works again
};

/// Where answers and alarms go. Called from one thread only (its SinkRunner's), but for spool().
class ResultSink {
 public:
  virtual ~ResultSink() = default;
  /// For logs and the summary: "results.jsonl".
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Takes one answer. An error means that this answer is not yet stored; kUnavailable and
  /// kResourceExhausted may be tried again with the same answer, other errors are final for the
  /// sink.
  virtual Result<void> write(const Answer& answer) = 0;
  /// Takes one change of an alarm; the same one may come again after a restart. Errors as write().
  virtual Result<void> write_alarm(const AlarmEvent&) { return {}; }
  /// Shows how the run stands. Errors as write().
  virtual Result<void> write_status(const RunStatus&) { return {}; }
  /// Brings what was taken to its destination. Errors as write().
  virtual Result<void> flush() = 0;
  /// How many of the answers it took have not got to their destination. Unset where it cannot tell:
  /// then none has since the last flush() that worked. Called after a failure.
  [[nodiscard]] virtual std::optional<std::int64_t> held() const { return std::nullopt; }
  /// The run ends: nothing more comes. May take a second or two.
  virtual void finish() {}

  /// Whether it has a use for this answer: else it is neither offered nor counted. Any thread;
  /// depends on the answer alone.
  [[nodiscard]] virtual bool wants(const Answer&) const { return wants_answers(); }

  // What it is for; constant.
  /// What it makes of each answer, and counts: "answers", "pictures".
  [[nodiscard]] virtual std::string_view unit() const { return "answers"; }
  [[nodiscard]] virtual bool wants_answers() const { return true; }
  [[nodiscard]] virtual bool wants_pictures() const { return false; }
  [[nodiscard]] virtual bool wants_alarms() const { return false; }
  [[nodiscard]] virtual bool wants_status() const { return false; }

  /// Any thread.
  [[nodiscard]] virtual SpoolCounts spool() const { return {}; }
};

}  // namespace framemill
