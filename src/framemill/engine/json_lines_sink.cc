#include "framemill/engine/json_lines_sink.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framemill/base/file_lock.h"
#include "framemill/base/old_files.h"

namespace framemill {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr int kReaderPatienceMs = 250;

std::string_view destination(const std::string& path) {
  return path == "-" ? std::string_view("standard output") : std::string_view(path);
}

bool is_regular(int fd) {
  struct stat facts {};
  return ::fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
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
    fd = ::open(options.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (is_going_on ? O_APPEND : 0),
                0644);
    if (fd < 0) {
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: results cannot be written there: {}; name a file in a folder that "
                      "exists and is writable",
                      options.path, std::strerror(errno)));
    }
    // Two runs would write over each other, and both believe in their results.
    if (!lock_file(fd)) {
      ::close(fd);
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: another run of framemill writes its results there; end that "
                              "one, or name another file",
                              options.path));
    }
    if (is_going_on) bytes = end_torn_line(options.path);
  }
  std::unique_ptr<JsonLinesSink> sink(new JsonLinesSink(fd, std::move(options), cameras));
  sink->file_bytes_ = bytes;
  return sink;
}

JsonLinesSink::JsonLinesSink(int fd, JsonLinesOptions options, const CameraDirectory& cameras)
    : fd_(fd), options_(std::move(options)), cameras_(cameras) {
  buffer_.reserve(2 * kBufferBytes);
  is_file_ = is_regular(fd_);
  has_older_results_ = is_file_ && fd_ != STDOUT_FILENO && options_.file_bytes_max == 0;
}

JsonLinesSink::~JsonLinesSink() {
  if (fd_ != STDOUT_FILENO) ::close(fd_);
}

void JsonLinesSink::start_over() {
  if (has_older_results_) (void)::ftruncate(fd_, 0);
  has_older_results_ = false;
}

Result<void> JsonLinesSink::make_room() {
  if (buffer_.size() < kBufferBytes) return {};
  return flush();
}

Result<void> JsonLinesSink::write(const Answer& answer) {
  if (Result<void> made = make_room(); !made) return made;
  append_answer_json(buffer_, answer, options_.run_id, cameras_[answer.camera]);
  answer_ends_.push_back(buffer_.size());
  return {};
}

Result<void> JsonLinesSink::write_alarm(const AlarmEvent& event) {
  if (Result<void> made = make_room(); !made) return made;
  append_alarm_json(buffer_, event);
  return {};
}

void JsonLinesSink::rotate() {
  if (options_.file_bytes_max == 0 || file_bytes_ < options_.file_bytes_max) return;
  move_up_old_files(options_.path, options_.old_files);
  const int fd = ::open(options_.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0644);
  if (fd < 0) return;   // goes on in the file that was renamed; the next flush tries again
  (void)lock_file(fd);  // it is new, nobody else can have it
  ::close(fd_);
  fd_ = fd;
  file_bytes_ = 0;
}

std::size_t JsonLinesSink::cut_torn_line(std::size_t done) {
  const std::size_t newline = std::string_view(buffer_).substr(0, done).rfind('\n');
  const std::size_t whole = newline == std::string_view::npos ? 0 : newline + 1;
  const auto torn = static_cast<off_t>(done - whole);
  const off_t end = ::lseek(fd_, 0, SEEK_CUR);
  if (torn == 0 || end < torn || ::ftruncate(fd_, end - torn) != 0) return done;
  (void)::lseek(fd_, end - torn, SEEK_SET);
  file_bytes_ -= torn;
  return whole;
}

void JsonLinesSink::drop(std::size_t done) {
  buffer_.erase(0, done);
  std::erase_if(answer_ends_, [&](std::size_t end) { return end <= done; });
  for (std::size_t& end : answer_ends_) end -= done;
}

Result<void> JsonLinesSink::flush() {
  if (!buffer_.empty()) start_over();
  std::size_t done = 0;
  int error = 0;
  while (done < buffer_.size()) {
    std::size_t bytes = buffer_.size() - done;
    if (!is_file_) {
      // A pipe that is ready takes so much without blocking.
      pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
      if (::poll(&ready, 1, kReaderPatienceMs) == 0) {
        error = EAGAIN;
        break;
      }
      bytes = std::min<std::size_t>(bytes, PIPE_BUF);
    }
    const ssize_t n = ::write(fd_, buffer_.data() + done, bytes);
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
  if (error != 0 && is_file_) done = cut_torn_line(done);
  drop(done);
  if (error == 0) {
    rotate();
    return {};
  }
  if (error == EPIPE) {
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: the reader of the results has gone (broken pipe)",
                            destination(options_.path)));
  }
  if (error == EAGAIN) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: the reader of the results does not read",
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
