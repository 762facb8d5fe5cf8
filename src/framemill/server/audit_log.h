#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/base/result.h"

namespace framemill {

/// Who asked for which change, and what came of it.
struct AuditEntry {
  std::string_view who;     ///< name of the token, "local", or "SIGHUP"
  std::string_view peer;    ///< address of the client
  std::string_view action;  ///< "POST /api/v1/cameras/gate-1/pause"
  int status = 0;           ///< of the answer
  std::string_view error;   ///< empty: done
};

/// One JSON line for each change that was asked for, in a file that only grows, and in the log.
/// Holds no bodies, so no secrets. Thread-safety: all members, any thread.
class AuditLog {
 public:
  /// `path` empty: the log only. Errors: kInvalidArgument where it cannot be written to.
  static Result<std::unique_ptr<AuditLog>> create(const std::string& path, const Clock& clock);
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;

  void add(const AuditEntry& entry) EXCLUDES(mu_);

 private:
  AuditLog(int fd, std::string path, const Clock& clock)
      : fd_(fd), path_(std::move(path)), clock_(clock) {}

  const int fd_;  ///< -1: none
  const std::string path_;
  const Clock& clock_;
  Mutex mu_;
  bool has_failed_ GUARDED_BY(mu_) = false;  ///< told once
};

}  // namespace framemill
