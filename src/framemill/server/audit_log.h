#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/base/result.h"

namespace framemill {

/// Who asked for which change, and what came of it.
struct AuditEntry {
  std::string_view who;             ///< name of the token, "local", "nobody", or "SIGHUP"
  std::string_view peer;            ///< address of the client; empty: the machine itself
  std::string_view action;          ///< "POST /api/v1/cameras/gate-1/pause"; what is long is cut
  std::vector<std::string> keys{};  ///< that the request would set, without their values
  int status = 0;                   ///< of the answer
  std::string_view error{};         ///< empty: done
};

/// One JSON line for each change that was asked for, in a file and in the log. Holds names of
/// settings and no values, so no secrets. The file is bounded: once it has kBytesMax it becomes
/// PATH.1, the older ones move up to PATH.kOldFiles, and the last one goes. Whoever is not let in
/// gets kRefusalsMax lines in kRefusalsTime; of the others the next line says how many they were.
/// A file that somebody else moves away is begun anew. Thread-safety: all members, any thread.
class AuditLog {
 public:
  static constexpr std::int64_t kBytesMax = 16 * 1024 * 1024;
  static constexpr int kOldFiles = 9;
  static constexpr int kRefusalsMax = 20;
  static constexpr Duration kRefusalsTime = std::chrono::minutes(1);

  /// `path` empty: the log only. Errors: kInvalidArgument where it cannot be written to.
  static Result<std::unique_ptr<AuditLog>> create(const std::string& path, const Clock& clock);
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;

  void add(const AuditEntry& entry) EXCLUDES(mu_);

 private:
  AuditLog(int fd, std::string path, const Clock& clock)
      : path_(std::move(path)), clock_(clock), fd_(fd) {}
  /// Whether the entry is one too many of somebody who is not let in.
  bool is_one_too_many(const AuditEntry& entry) REQUIRES(mu_);
  void write(const std::string& line) REQUIRES(mu_);
  /// Opens the file anew where it is full, or has been moved away.
  void turn_over() REQUIRES(mu_);

  const std::string path_;
  const Clock& clock_;
  Mutex mu_;
  int fd_ GUARDED_BY(mu_);  ///< -1: none
  TimePoint refusals_since_ GUARDED_BY(mu_);
  int refusals_ GUARDED_BY(mu_) = 0;           ///< since then
  std::int64_t left_out_ GUARDED_BY(mu_) = 0;  ///< since the last line
  bool has_failed_ GUARDED_BY(mu_) = false;    ///< told once
};

}  // namespace framemill
