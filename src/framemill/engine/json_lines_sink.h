#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "framemill/engine/answer_json.h"
#include "framemill/engine/result_sink.h"

namespace framemill {

struct JsonLinesOptions {
  std::string path;  ///< "-" for standard output, else a file
  std::string run_id;
  bool has_answers = true, has_alarms = false;
  /// A file that is larger is closed, and becomes PATH.1; the older ones move up to PATH.old_files,
  /// and the last one goes. 0: one file without limit.
  std::int64_t file_bytes_max = 0;
  std::size_t old_files = 5;
};

/// Writes answers, and alarms where asked for, as JSON lines to a file or to standard output. A
/// file holds whole lines whenever a flush has ended: what a full disk took of a line is cut off
/// again. A pipe remembers what it took, and the rest follows later; a reader who does not read
/// delays a flush by kReaderPatience at most. A file with a limit goes on where the run before
/// ended; one without is emptied with the first line that is written, so that a run that gets
/// nowhere loses no older results. A file belongs to one sink at a time, in all processes.
class JsonLinesSink final : public ResultSink {
 public:
  /// Errors: kInvalidArgument where it can't be opened, or another run writes it; names path and
  /// reason.
  static Result<std::unique_ptr<JsonLinesSink>> create(JsonLinesOptions options,
                                                       const CameraDirectory& cameras);
  ~JsonLinesSink() override;
  /// No line came, and that is the result of a whole run: older lines go now. After the last
  /// flush().
  void end_empty() { start_over(); }

  [[nodiscard]] std::string_view name() const override { return options_.path; }
  /// kResourceExhausted: disk full. kFailedPrecondition: the reader of the pipe has gone.
  Result<void> write(const Answer& answer) override;
  Result<void> write_alarm(const AlarmEvent& event) override;
  Result<void> flush() override;
  [[nodiscard]] std::optional<std::int64_t> held() const override {
    return static_cast<std::int64_t>(answer_ends_.size());
  }
  [[nodiscard]] bool wants_answers() const override { return options_.has_answers; }
  [[nodiscard]] bool wants_alarms() const override { return options_.has_alarms; }

 private:
  JsonLinesSink(int fd, JsonLinesOptions options, const CameraDirectory& cameras);
  Result<void> make_room();
  /// Older lines go, where there are any yet.
  void start_over();
  /// Begins a new file where the current one is full; the buffer is empty.
  void rotate();
  /// Takes back what of `done` bytes of the buffer is no whole line. Returns what stays.
  std::size_t cut_torn_line(std::size_t done);
  /// Forgets the first `done` bytes of the buffer.
  void drop(std::size_t done);

  int fd_;
  bool is_file_ = false;            ///< else a pipe, a terminal, a device
  bool has_older_results_ = false;  ///< which go with the first line
  const JsonLinesOptions options_;
  const CameraDirectory& cameras_;
  std::string buffer_;                    // taken, not yet written
  std::vector<std::size_t> answer_ends_;  // of the answers in it
  std::int64_t file_bytes_ = 0;
};

}  // namespace framemill
