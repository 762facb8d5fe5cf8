#include "framemill/engine/json_lines_sink.h"

#include <cerrno>
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

}  // namespace

Result<std::unique_ptr<JsonLinesSink>> JsonLinesSink::create(const std::string& path,
                                                             std::string run_id,
                                                             const CameraDirectory& cameras) {
  int fd = STDOUT_FILENO;
  if (path != "-") {
    fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: results cannot be written there: {}; name a file in a folder that "
                      "exists and is writable",
                      path, std::strerror(errno)));
    }
  }
  return std::unique_ptr<JsonLinesSink>(new JsonLinesSink(fd, path, std::move(run_id), cameras));
}

JsonLinesSink::JsonLinesSink(int fd, std::string path, std::string run_id,
                             const CameraDirectory& cameras)
    : fd_(fd), path_(std::move(path)), run_id_(std::move(run_id)), cameras_(cameras) {
  buffer_.reserve(2 * kBufferBytes);
}

JsonLinesSink::~JsonLinesSink() {
  if (fd_ != STDOUT_FILENO) ::close(fd_);
}

Result<void> JsonLinesSink::write(const Answer& answer) {
  if (buffer_.size() >= kBufferBytes) {
    if (Result<void> flushed = flush(); !flushed) return flushed;
  }
  append_answer_json(buffer_, answer, run_id_, cameras_[answer.camera]);
  return {};
}

Result<void> JsonLinesSink::flush() {
  std::size_t done = 0;
  int error = 0;
  while (done < buffer_.size()) {
    const ssize_t n = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n > 0) {
      done += static_cast<std::size_t>(n);
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else {
      error = errno;
      break;
    }
  }
  buffer_.erase(0, done);
  if (error == 0) return {};
  if (error == EPIPE) {
    return fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("{}: the reader of the results has gone (broken pipe)", destination(path_)));
  }
  const bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return fail(
      is_full ? ErrorCode::kResourceExhausted : ErrorCode::kUnavailable,
      fmt::format("{}: results cannot be written: {}; {}", destination(path_), std::strerror(error),
                  is_full ? "free some space, results wait in memory meanwhile" : "trying again"));
}

}  // namespace framemill
