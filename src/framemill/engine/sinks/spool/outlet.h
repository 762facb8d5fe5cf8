#pragma once

#include <span>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/engine/run_status.h"
#include "framemill/engine/sinks/spool/message.h"

namespace framemill {

/// The way to one peer. Called from one thread only (its SpooledSink's), but for interrupt().
class Outlet {
 public:
  virtual ~Outlet() = default;
  /// Hands the messages over, in their order, and returns once the peer has taken all of them.
  /// Errors: kInvalidArgument: the peer refuses these for good; others: try again, with all of
  /// them.
  virtual Result<void> deliver(std::span<const Message> messages) = 0;
  /// How the run stands now, for peers that are told. Errors as deliver(); the next one says it
  /// all.
  virtual Result<void> show(const RunStatus&) { return {}; }
  /// Says good-bye where that is usual.
  virtual void close() {}
  /// Any thread: makes a deliver() in progress, and those to come, end soon.
  virtual void interrupt() = 0;

  [[nodiscard]] virtual std::size_t batch_max() const = 0;  ///< messages in one deliver(), >= 1
  /// How long answers may wait for company, since a deliver() has a price of its own; alarms never
  /// wait.
  [[nodiscard]] virtual Duration linger() const { return Duration::zero(); }
  [[nodiscard]] virtual bool wants_status() const { return false; }
};

}  // namespace framemill
