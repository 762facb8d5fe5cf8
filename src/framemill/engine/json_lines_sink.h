#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framemill/engine/answer_json.h"
#include "framemill/engine/result_sink.h"

namespace framemill {

/// Writes answers as JSON lines to a file or to standard output. A line is never torn: what the
/// destination took of a line before it refused the rest is remembered, and the rest follows later.
class JsonLinesSink final : public ResultSink {
 public:
  /// `path`: "-" for standard output, else a file, which is created or emptied. `cameras` outlive
  /// the sink.
  /// Errors: kInvalidArgument where it can't be opened; names path and reason.
  static Result<std::unique_ptr<JsonLinesSink>> create(const std::string& path, std::string run_id,
                                                       const CameraDirectory& cameras);
  ~JsonLinesSink() override;

  [[nodiscard]] std::string_view name() const override { return path_; }
  /// kResourceExhausted: disk full. kFailedPrecondition: the reader of the pipe has gone.
  Result<void> write(const Answer& answer) override;
  Result<void> flush() override;

 private:
  JsonLinesSink(int fd, std::string path, std::string run_id, const CameraDirectory& cameras);

  const int fd_;
  const std::string path_;
  const std::string run_id_;
  const CameraDirectory& cameras_;
  std::string buffer_;  // taken, not yet written
};

}  // namespace framemill
