#include "framemill/server/audit_log.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "framemill/engine/answer_json.h"

namespace framemill {

Result<std::unique_ptr<AuditLog>> AuditLog::create(const std::string& path, const Clock& clock) {
  int fd = -1;
  if (!path.empty()) {
    fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
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
  if (fd_ >= 0) ::close(fd_);
}

void AuditLog::add(const AuditEntry& entry) {
  nlohmann::ordered_json line{{"at", format_wall_time(clock_.wall_now())},
                              {"who", entry.who},
                              {"peer", entry.peer},
                              {"action", entry.action},
                              {"status", entry.status}};
  if (!entry.error.empty()) line["error"] = entry.error;
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  spdlog::info("{} by {} from {}: {}", entry.action, entry.who, entry.peer,
               entry.error.empty() ? "done" : entry.error);
  if (fd_ < 0) return;
  const MutexLock lock(mu_);
  // One write: a line of another process that appends to the file does not get in between.
  const bool is_written =
      ::write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!is_written && !has_failed_) {
    spdlog::error("{}: the audit log cannot be written: {}; changes are in this log only", path_,
                  std::strerror(errno));
  }
  has_failed_ = !is_written;
}

}  // namespace framemill
