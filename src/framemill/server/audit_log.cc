#include "framemill/server/audit_log.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framemill/base/old_files.h"
#include "framemill/engine/answer_json.h"

namespace framemill {
namespace {

constexpr std::size_t kActionMax = 256;

int open_to_append(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::create(const std::string& path, const Clock& clock) {
  int fd = -1;
  if (!path.empty()) {
    fd = open_to_append(path);
    if (fd < 0) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("server.audit_log: {}: cannot be written to: {}; name a file in a "
                              "folder that exists and is writable",
                              path, std::strerror(errno)));
    }
  }
  return std::unique_ptr<AuditLog>(new AuditLog(fd, path, clock));
}

AuditLog::~AuditLog() {
  const MutexLock lock(mu_);
  if (fd_ >= 0) ::close(fd_);
}

void AuditLog::add(const AuditEntry& entry) {
  std::string action(entry.action.substr(0, kActionMax));
  if (entry.action.size() > kActionMax) action += "...";
  nlohmann::ordered_json line{{"at", format_wall_time(clock_.wall_now())},
                              {"who", entry.who},
                              {"peer", entry.peer},
                              {"action", action}};
  if (!entry.keys.empty()) line["keys"] = entry.keys;
  line["status"] = entry.status;
  if (!entry.error.empty()) line["error"] = entry.error;
  const MutexLock lock(mu_);
  if (is_one_too_many(entry)) {
    ++left_out_;
    return;
  }
  if (left_out_ > 0) line["left_out"] = std::exchange(left_out_, 0);
  spdlog::info("{} by {} from {}: {}", action, entry.who,
               entry.peer.empty() ? "this machine" : entry.peer,
               entry.error.empty() ? "done" : entry.error);
  if (fd_ < 0) return;
  turn_over();
  write(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

bool AuditLog::is_one_too_many(const AuditEntry& entry) {
  if (entry.status != 401 && entry.status != 403) return false;
  const TimePoint now = clock_.now();
  if (now - refusals_since_ >= kRefusalsTime) {
    refusals_since_ = now;
    refusals_ = 0;
  }
  return ++refusals_ > kRefusalsMax;
}

void AuditLog::turn_over() {
  struct stat ours {};
  struct stat there {};
  if (::fstat(fd_, &ours) != 0) return;
  const bool is_moved = ::stat(path_.c_str(), &there) != 0 || ours.st_ino != there.st_ino ||
                        ours.st_dev != there.st_dev;
  const bool is_full = !is_moved && S_ISREG(ours.st_mode) && ours.st_size >= kBytesMax;
  if (!is_moved && !is_full) return;
  if (is_full) move_up_old_files(path_, kOldFiles);
  const int fd = open_to_append(path_);
  if (fd < 0) return;  // goes on in the one that was moved
  ::close(fd_);
  fd_ = fd;
}

void AuditLog::write(const std::string& line) {
  // One write: a line of another process that appends to the file does not get in between.
  const bool is_written =
      ::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (!is_written && !has_failed_) {
    spdlog::error("{}: the audit log cannot be written: {}; changes are in this log only", path_,
                  std::strerror(errno));
  }
  has_failed_ = !is_written;
}

}  // namespace framemill
