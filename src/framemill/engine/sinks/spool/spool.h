#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/base/result.h"

namespace framemill {

/// Records on disk, first in, first out, within a limit: what a peer has not yet taken. Survives
/// the end of the process at any moment: what flush() returned from is there afterwards (but for a
/// loss of power unless sync() did), a record that was half written is not, and one that was read
/// but not committed comes again. Where the limit is reached the oldest go, counted. Files:
/// segments of records (length, CRC-32, bytes), and `cursor`, up to which they are done.
/// Thread-safety: all members, any thread; one reader.
class Spool {
 public:
  /// Makes the folder, or takes over what is in it. `bytes_max` >= 64 KiB. Errors: kInvalidArgument
  /// (not writable), kFailedPrecondition (another process has it).
  static Result<std::unique_ptr<Spool>> open(const std::string& folder, std::int64_t bytes_max);
  Spool(const Spool&) = delete;
  ~Spool();

  /// Adds a record of at most 16 MiB; in memory until flush(). Errors: kResourceExhausted,
  /// kUnavailable (of the flush that a full buffer asks for).
  Result<void> append(std::string_view record) EXCLUDES(mu_);
  /// Hands what was added to the operating system. Errors: kResourceExhausted (disk full),
  /// kUnavailable; nothing is lost, it may be tried again.
  Result<void> flush() EXCLUDES(mu_);
  /// flush(), and waits until the disk has it.
  Result<void> sync() EXCLUDES(mu_);

  /// The oldest records that were flushed, up to `records_max` and about `bytes_max`, at least one
  /// where there is one. They stay until commit().
  [[nodiscard]] std::vector<std::string> peek(std::size_t records_max, std::size_t bytes_max)
      EXCLUDES(mu_);
  /// The records of the last peek() are done. (Those that were dropped since count as done.)
  void commit() EXCLUDES(mu_);

  [[nodiscard]] std::int64_t waiting() const EXCLUDES(mu_);  ///< records
  /// Those of them that peek() can see: the last ones are not on disk yet.
  [[nodiscard]] std::int64_t ready() const EXCLUDES(mu_);
  [[nodiscard]] std::int64_t waiting_bytes() const EXCLUDES(mu_);  ///< on disk and in the buffer
  [[nodiscard]] std::int64_t dropped() const EXCLUDES(mu_);        ///< since it was opened

 private:
  struct Segment {
    std::int64_t number = 0;
    std::int64_t bytes = 0;    ///< whole records
    std::int64_t records = 0;  ///< those before the cursor included
  };
  Spool(std::string folder, std::int64_t bytes_max);
  Result<void> load() REQUIRES(mu_);
  Result<void> load_segment(Segment& segment) REQUIRES(mu_);
  [[nodiscard]] std::string path_of(std::int64_t number) const;
  Result<void> flush_locked() REQUIRES(mu_);
  [[nodiscard]] std::int64_t ready_locked() const REQUIRES(mu_);
  void close_writer() REQUIRES(mu_);
  void drop_oldest() REQUIRES(mu_);
  void remove_front() REQUIRES(mu_);
  void save_cursor() REQUIRES(mu_);

  const std::string folder_;
  const std::int64_t bytes_max_;
  const std::int64_t segment_bytes_;
  int lock_fd_ = -1;
  int cursor_fd_ = -1;
  mutable Mutex mu_;
  std::deque<Segment> segments_ GUARDED_BY(mu_);  ///< oldest first; the last one is written to
  std::int64_t next_number_ GUARDED_BY(mu_) = 1;
  std::string buffer_ GUARDED_BY(mu_);  ///< whole records, not yet written
  std::int64_t buffer_records_ GUARDED_BY(mu_) = 0;
  int writer_ GUARDED_BY(mu_) = -1;                  ///< of the last segment
  std::int64_t cursor_offset_ GUARDED_BY(mu_) = 0;   ///< in the first segment
  std::int64_t cursor_records_ GUARDED_BY(mu_) = 0;  ///< of it, done
  struct Peeked {
    std::int64_t segment = 0, offset = 0, records = 0;  ///< where the cursor will stand
  };
  std::optional<Peeked> peeked_ GUARDED_BY(mu_);
  std::int64_t dropped_ GUARDED_BY(mu_) = 0;
};

}  // namespace framemill
