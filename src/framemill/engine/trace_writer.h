#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "framemill/base/bounded_queue.h"
#include "framemill/base/mutex.h"
#include "framemill/base/result.h"
#include "framemill/sched/dispatch_trace.h"

namespace framemill {

/// What became of a run's trace.
struct TraceCounts {
  std::string path;
  std::int64_t written = 0;  ///< records in the file
  std::int64_t lost = 0;     ///< told, but not in the file
  std::string last_error;    ///< empty: none so far
};

/// Writes what a LiveDispatch is told and decides to a file (docs/reference/trace.md), so that it
/// can be replayed and simulated. The scheduler hands records over in chunks and never waits: where
/// the disk is slower than the run, chunks are lost, counted, and the file says so at their place.
/// A file that cannot be written any longer ends after its last whole line; the run goes on. An
/// older trace stays until a first frame has come, so that a run that gets nowhere loses none. A
/// file belongs to one run at a time, in all processes. Thread-safety: begin() before the others,
/// once; add(), stop() and counts() from any thread.
class TraceWriter {
 public:
  struct Options {
    std::size_t chunk_records = 128;
    std::size_t chunks_max = 512;
  };
  /// What the file says of the run besides the dispatch's own options.
  struct Run {
    std::string id;
    WallTime began;
    std::vector<CameraId> cameras;
    std::vector<std::string> models;
  };

  /// Errors: kInvalidArgument where nothing can be written at `path`, or another run writes it.
  static Result<std::unique_ptr<TraceWriter>> create(const std::string& path, Run run,
                                                     Options options);
  TraceWriter(const TraceWriter&) = delete;  // the thread holds `this`: no copy, no move
  ~TraceWriter();

  /// Before the first add(), once.
  void begin(const LiveDispatchOptions& options, TimePoint began_at) EXCLUDES(mu_);
  /// Never waits for the disk. After stop() without effect.
  void add(DispatchRecord&& record) EXCLUDES(mu_);
  /// Writes what is left. Idempotent.
  void stop() EXCLUDES(mu_);
  /// No frame came, and that is the result of a whole run: an older trace goes now. After stop().
  void end_empty();
  [[nodiscard]] TraceCounts counts() const EXCLUDES(mu_);

 private:
  using Chunk = std::vector<DispatchRecord>;

  TraceWriter(int fd, std::string path, Run run, Options options);
  /// Hands the chunk over, if there is room.
  void push() REQUIRES(mu_);
  void run();
  /// The header, where there is none yet, and what was told since.
  void write_held();
  void write_end();
  void write_chunk(const Chunk& chunk);
  /// Appends `text` whole or not at all; false: it could not be, and nothing more will be.
  bool write(const std::string& text);
  void note_error(int error) EXCLUDES(mu_);

  const int fd_;
  const std::string path_;
  const Run run_;
  const Options options_;

  // The thread's.
  std::string header_;  ///< made by begin(), before the first chunk is pushed
  TimePoint began_at_;
  std::string text_;
  bool has_begun_ = false;        ///< the header is written
  std::vector<Chunk> held_;       ///< told, and not written yet
  bool has_older_trace_ = false;  ///< which goes with the first frame
  std::int64_t end_ = 0;          ///< of the file, after its last whole line
  bool is_dead_ = false;

  BoundedQueue<Chunk> queue_;  // synchronizes itself
  std::atomic<std::int64_t> written_{0};
  std::atomic<std::int64_t> lost_{0};
  mutable Mutex mu_;
  Chunk chunk_ GUARDED_BY(mu_);
  std::int64_t lost_before_chunk_ GUARDED_BY(mu_) = 0;  ///< not told in the file yet
  bool is_stopped_ GUARDED_BY(mu_) = false;
  std::string last_error_ GUARDED_BY(mu_);
  std::thread thread_;  // last member: starts after everything it uses
};

}  // namespace framemill
