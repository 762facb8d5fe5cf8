#include "framemill/engine/json_lines_sink.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace framemill {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;

std::string_view destination(const std::string& path) {
  return path == "-" ? std::string_view("standard output") : std::string_view(path);
}

/// A line that a killed run left half written is cut off. Returns the size of the file.
std::int64_t end_torn_line(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return 0;
  std::int64_t size = ::lseek(fd, 0, SEEK_END);
  const std::int64_t whole = size;
  char last = '\n';
  while (size > 0 && ::pread(fd, &last, 1, size - 1) == 1 && last != '\n') --size;
  if (size != whole && ::ftruncate(fd, size) != 0) size = whole;
  ::close(fd);
  return size;
}

}  // namespace

Result<std::unique_ptr<JsonLinesSink>> JsonLinesSink::create(JsonLinesOptions options,
                                                             const CameraDirectory& cameras) {
  int fd = STDOUT_FILENO;
  std::int64_t bytes = 0;
  if (options.path != "-") {
    const bool is_going_on = options.file_bytes_max > 0;
    if (is_going_on) bytes = end_torn_line(options.path);
    fd = ::open(options.path.c_str(),
                O_WRONLY | O_CREAT | O_CLOEXEC | (is_going_on ? O_APPEND : O_TRUNC), 0644);
    if (fd < 0) {
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: results cannot be written there: {}; name a file in a folder that "
                      "exists and is writable",
                      options.path, std::strerror(errno)));
    }
  }
  std::unique_ptr<JsonLinesSink> sink(new JsonLinesSink(fd, std::move(options), cameras));
  sink->file_bytes_ = bytes;
  return sink;
}

JsonLinesSink::JsonLinesSink(int fd, JsonLinesOptions options, const CameraDirectory& cameras)
    : fd_(fd), options_(std::move(options)), cameras_(cameras) {
  buffer_.reserve(2 * kBufferBytes);
}

JsonLinesSink::~JsonLinesSink() {
  if (fd_ != STDOUT_FILENO) ::close(fd_);
}

Result<void> JsonLinesSink::make_room() {
  if (buffer_.size() < kBufferBytes) return {};
  return flush();
}

Result<void> JsonLinesSink::write(const Answer& answer) {
  if (Result<void> made = make_room(); !made) return made;
  append_answer_json(buffer_, answer, options_.run_id, cameras_[answer.camera]);
  return {};
}

Result<void> JsonLinesSink::write_alarm(const AlarmEvent& event) {
  if (Result<void> made = make_room(); !made) return made;
  append_alarm_json(buffer_, event);
  return {};
}

void JsonLinesSink::rotate() {
  if (options_.file_bytes_max == 0 || file_bytes_ < options_.file_bytes_max) return;
  const auto name = [&](std::size_t number) { return fmt::format("{}.{}", options_.path, number); };
  for (std::size_t i = options_.old_files; i > 1; --i)
    std::rename(name(i - 1).c_str(), name(i).c_str());
  std::rename(options_.path.c_str(), name(1).c_str());
  const int fd = ::open(options_.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0644);
  if (fd < 0) return;  // goes on in the file that was renamed; the next flush tries again
  ::close(fd_);
  fd_ = fd;
  file_bytes_ = 0;
}

Result<void> JsonLinesSink::flush() {
  std::size_t done = 0;
  int error = 0;
  while (done < buffer_.size()) {
    const ssize_t n = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n > 0) {
      done += static_cast<std::size_t>(n);
      file_bytes_ += n;
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else {
      error = errno;
      break;
    }
  }
  buffer_.erase(0, done);
  if (error == 0) {
    rotate();
    return {};
  }
  if (error == EPIPE) {
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: the reader of the results has gone (broken pipe)",
                            destination(options_.path)));
  }
  const bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return fail(
      is_full ? ErrorCode::kResourceExhausted : ErrorCode::kUnavailable,
      fmt::format("{}: results cannot be written: {}; {}", destination(options_.path),
                  std::strerror(error),
                  is_full ? "free some space, results wait in memory meanwhile" : "trying again"));
}

}  // namespace framemill
