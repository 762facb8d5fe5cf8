#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "framemill/base/result.h"
#include "framemill/sched/dispatch_trace.h"

namespace framemill {

/// Reads what `framemill run --trace` wrote (docs/reference/trace.md), line by line. Believes
/// nothing: each value is checked for type and range, and each message names file and line. What
/// only makes sense in order, such as the completion of a batch, DispatchReplay checks. Not
/// thread-safe.
class TraceReader {
 public:
  /// Reads the header. Errors: kNotFound, kInvalidArgument (no trace, another version of the
  /// format, a value out of range).
  static Result<std::unique_ptr<TraceReader>> open(const std::string& path);

  [[nodiscard]] const DispatchTraceHeader& header() const { return header_; }
  /// The next record; none at the end of a whole trace. Errors: kInvalidArgument for a line that is
  /// none, and for a trace that breaks off.
  Result<std::optional<DispatchRecord>> next();
  /// Of the record that next() returned last, or of the problem; the header is line 1.
  [[nodiscard]] std::int64_t line() const { return line_; }
  /// As "trace.jsonl:17".
  [[nodiscard]] std::string place() const;

 private:
  TraceReader(std::string path, std::ifstream file);
  Result<void> read_header();
  /// The next line without its end; none at the end of the file.
  Result<std::optional<std::string>> read_line();
  Result<void> check_end(std::int64_t records, std::int64_t lost);

  const std::string path_;
  std::ifstream file_;
  DispatchTraceHeader header_;
  std::int64_t line_ = 0;
  std::int64_t records_ = 0;  ///< those that say of losses left out
  std::int64_t lost_ = 0;
  bool is_over_ = false;
};

}  // namespace framemill
