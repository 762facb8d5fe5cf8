#include "framemill/engine/trace_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framemill/base/check.h"
#include "framemill/base/file_lock.h"
#include "framemill/base/thread_name.h"
#include "framemill/engine/trace_json.h"

namespace framemill {
namespace {

/// Beside an older trace: what is told before the first frame waits so long at most. A run that has
/// told more than that has got somewhere.
constexpr std::size_t kHeldChunksMax = 64;

bool has_bytes(int fd) {
  struct stat facts {};
  return ::fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size > 0;
}

}  // namespace

Result<std::unique_ptr<TraceWriter>> TraceWriter::create(const std::string& path, Run run,
                                                         Options options) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: the trace cannot be written there: {}; name a file in a folder "
                            "that exists and is writable",
                            path, std::strerror(errno)));
  }
  // Two runs would write over each other, and neither trace could be replayed.
  if (!lock_file(fd)) {
    ::close(fd);
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: another run of framemill writes its trace there; end that one, or "
                            "name another file",
                            path));
  }
  return std::unique_ptr<TraceWriter>(new TraceWriter(fd, path, std::move(run), options));
}

TraceWriter::TraceWriter(int fd, std::string path, Run run, Options options)
    : fd_(fd),
      path_(std::move(path)),
      run_(std::move(run)),
      options_(options),
      has_older_trace_(has_bytes(fd)),
      queue_(options.chunks_max),
      thread_([this] { this->run(); }) {
  CHECK(options.chunk_records >= 1);
}

TraceWriter::~TraceWriter() {
  stop();
  ::close(fd_);
}

void TraceWriter::begin(const LiveDispatchOptions& options, TimePoint began_at) {
  CHECK(header_.empty());
  began_at_ = began_at;
  append_trace_header(header_, {.framemill = FRAMEMILL_VERSION,
                                .run = run_.id,
                                .began_wall = run_.began,
                                .began_at = began_at,
                                .cameras = run_.cameras,
                                .models = run_.models,
                                .options = options});
  const MutexLock lock(mu_);
  push();  // nothing but the header: a new file is a trace from the start
}

void TraceWriter::add(DispatchRecord&& record) {
  const MutexLock lock(mu_);
  if (is_stopped_) return;
  if (chunk_.capacity() == 0) chunk_.reserve(options_.chunk_records + 1);
  if (lost_before_chunk_ > 0 && chunk_.empty()) {
    chunk_.emplace_back(RecordsLost{lost_before_chunk_});
    lost_before_chunk_ = 0;
  }
  chunk_.push_back(std::move(record));
  if (chunk_.size() >= options_.chunk_records) push();
}

void TraceWriter::push() {
  if (queue_.try_push(std::move(chunk_))) {
    chunk_ = {};
    return;
  }
  // What a chunk says of those lost before it is lost with it.
  for (const DispatchRecord& record : chunk_) {
    const auto* const lost = std::get_if<RecordsLost>(&record);
    lost_before_chunk_ += lost != nullptr ? lost->records : 1;
    if (lost == nullptr) ++lost_;
  }
  chunk_.clear();
}

void TraceWriter::stop() {
  Chunk last;
  {
    const MutexLock lock(mu_);
    if (is_stopped_) return;
    is_stopped_ = true;
    if (lost_before_chunk_ > 0) chunk_.insert(chunk_.begin(), RecordsLost{lost_before_chunk_});
    last = std::move(chunk_);
  }
  // Room is waited for: the run is over, and the thread gets on with it or has given up.
  (void)queue_.push(std::move(last));
  queue_.close();
  if (thread_.joinable()) thread_.join();
}

TraceCounts TraceWriter::counts() const {
  const MutexLock lock(mu_);
  return {path_, written_, lost_, last_error_};
}

void TraceWriter::run() {
  name_this_thread("trace");
  const auto is_frame = [](const DispatchRecord& record) {
    return std::holds_alternative<FrameArrived>(record);
  };
  while (std::optional<Chunk> chunk = queue_.pop()) {
    if (header_.empty()) return;  // never began: an empty file is no trace
    const bool has_frame = std::ranges::any_of(*chunk, is_frame);
    held_.push_back(*std::move(chunk));
    if (!has_older_trace_ || has_frame || held_.size() >= kHeldChunksMax) write_held();
  }
  if (!has_older_trace_ && !header_.empty()) write_end();
}

void TraceWriter::end_empty() {
  if (!has_older_trace_ || header_.empty()) return;
  write_held();
  write_end();
}

void TraceWriter::write_held() {
  if (has_older_trace_) (void)(::ftruncate(fd_, 0) == 0);
  has_older_trace_ = false;
  if (!has_begun_) write(header_);
  has_begun_ = true;
  for (const Chunk& chunk : held_) write_chunk(chunk);
  held_.clear();
}

void TraceWriter::write_end() {
  text_.clear();
  append_trace_end(text_, written_, lost_);
  write(text_);
}

void TraceWriter::write_chunk(const Chunk& chunk) {
  text_.clear();
  std::int64_t records = 0;
  for (const DispatchRecord& record : chunk) {
    append_trace_record(text_, record, began_at_);
    if (!std::holds_alternative<RecordsLost>(record)) ++records;
  }
  (write(text_) ? written_ : lost_) += records;
}

bool TraceWriter::write(const std::string& text) {
  std::size_t done = 0;
  while (!is_dead_ && done < text.size()) {
    const ssize_t n = ::write(fd_, text.data() + done, text.size() - done);
    if (n > 0) {
      done += static_cast<std::size_t>(n);
    } else if (n == 0 || errno != EINTR) {
      note_error(n == 0 ? EIO : errno);
      is_dead_ = true;
      // Back to the last whole line. A pipe or a device has no length to set.
      (void)(::ftruncate(fd_, end_) == 0);
    }
  }
  if (!is_dead_) end_ += static_cast<std::int64_t>(text.size());
  return !is_dead_;
}

void TraceWriter::note_error(int error) {
  const bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  std::string message = fmt::format(
      "{}: the trace cannot be written any longer: {}; it ends here and the run goes on{}", path_,
      std::strerror(error), is_full ? "; free some space, or trace for a shorter time" : "");
  spdlog::error("{}", message);
  const MutexLock lock(mu_);
  last_error_ = std::move(message);
}

}  // namespace framemill
