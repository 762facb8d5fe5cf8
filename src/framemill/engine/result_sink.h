#pragma once

#include <string_view>

#include "framemill/base/result.h"
#include "framemill/core/answer.h"

namespace framemill {

/// Where answers go. Called from one thread only (its SinkRunner's).
class ResultSink {
 public:
  virtual ~ResultSink() = default;
  /// For logs and the summary: "results.jsonl".
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Takes one answer. An error means that this answer is not yet stored; kUnavailable and
  /// kResourceExhausted may be tried again with the same answer, other errors are final for the
  /// sink.
  virtual Result<void> write(const Answer& answer) = 0;
  /// Brings what was taken to its destination. Errors as write().
  virtual Result<void> flush() = 0;
};

}  // namespace framemill
