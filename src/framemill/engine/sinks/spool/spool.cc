#include "framemill/engine/sinks/spool/spool.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "framemill/base/check.h"
#include "framemill/base/file_lock.h"

namespace framemill {
namespace {

constexpr std::size_t kHeaderBytes = 8;  // length and CRC-32, each 4 bytes, little endian
constexpr std::size_t kRecordMax = std::size_t{16} << 20U;
constexpr std::size_t kBufferMax = 64 * 1024;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1U) ? 0xEDB88320U ^ (value >> 1U) : value >> 1U;
    table[i] = value;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

/// CRC-32 as of IEEE 802.3.
std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t value = 0xFFFFFFFFU;
  for (const char c : bytes)
    value = kCrcTable[(value ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (value >> 8U);
  return value ^ 0xFFFFFFFFU;
}

void append_number(std::string& out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xFFU));
}
std::uint32_t read_number(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i)
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return value;
}

/// The next whole record of `file`; empty at the end, or where the rest is torn or damaged.
std::optional<std::string> read_record(std::ifstream& file) {
  std::array<char, kHeaderBytes> header{};
  if (!file.read(header.data(), header.size())) return std::nullopt;
  const std::uint32_t length = read_number(header.data());
  if (length > kRecordMax) return std::nullopt;
  std::string record(length, '\0');
  if (length > 0 && !file.read(record.data(), length)) return std::nullopt;
  if (crc32(record) != read_number(header.data() + 4)) return std::nullopt;
  return record;
}

Failure disk_failure(const std::string& folder, int error) {
  const bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return fail(is_full ? ErrorCode::kResourceExhausted : ErrorCode::kUnavailable,
              fmt::format("{}: cannot be written: {}; {}", folder, std::strerror(error),
                          is_full ? "free some space" : "trying again"));
}

}  // namespace

Spool::Spool(std::string folder, std::int64_t bytes_max)
    : folder_(std::move(folder)),
      bytes_max_(bytes_max),
      segment_bytes_(std::max<std::int64_t>(bytes_max / 16, 4096)) {}

Spool::~Spool() {
  const MutexLock lock(mu_);
  (void)flush_locked();
  close_writer();
  if (cursor_fd_ >= 0) ::close(cursor_fd_);
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<std::unique_ptr<Spool>> Spool::open(const std::string& folder, std::int64_t bytes_max) {
  CHECK(bytes_max >= 64 * 1024);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::unique_ptr<Spool> spool(new Spool(folder, bytes_max));
  spool->lock_fd_ = ::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (spool->lock_fd_ < 0) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: cannot be written: {}; make the folder writable, or set engine.data "
                    "to another one",
                    folder, std::strerror(errno)));
  }
  // Results go where nobody can tell who else writes; of two runs on one spool each would remove
  // what the other has not sent.
  switch (try_lock_file(spool->lock_fd_)) {
    case FileLock::kOurs:
      break;
    case FileLock::kOfAnother:
      return fail(ErrorCode::kFailedPrecondition,
                  fmt::format("{}: another run of framemill uses it; stop that one, or set "
                              "engine.data to another folder",
                              folder));
    case FileLock::kUnknown:
      return fail(ErrorCode::kFailedPrecondition,
                  fmt::format("{}: its file system knows no locks, so two runs could use it at "
                              "once; set engine.data to a folder on a local disk",
                              folder));
  }
  spool->cursor_fd_ = ::open((folder + "/cursor").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (spool->cursor_fd_ < 0) return disk_failure(folder, errno);
  const MutexLock lock(spool->mu_);
  if (Result<void> loaded = spool->load(); !loaded) return fail(loaded.error());
  return spool;
}

std::string Spool::path_of(std::int64_t number) const {
  return fmt::format("{}/{:012}.log", folder_, number);
}

Result<void> Spool::load() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    if (entry.path().extension() != ".log") continue;
    const std::int64_t number = std::strtoll(entry.path().stem().c_str(), nullptr, 10);
    if (number > 0) segments_.push_back({.number = number});
  }
  std::ranges::sort(segments_, {}, &Segment::number);
  std::int64_t cursor_number = 0, cursor_offset = 0;
  std::ifstream(folder_ + "/cursor") >> cursor_number >> cursor_offset;
  if (!segments_.empty()) next_number_ = segments_.back().number + 1;
  next_number_ = std::max(next_number_, cursor_number + 1);
  while (!segments_.empty() && segments_.front().number < cursor_number) {
    std::filesystem::remove(path_of(segments_.front().number), error);
    segments_.pop_front();
  }
  for (Segment& segment : segments_) {
    if (Result<void> loaded = load_segment(segment); !loaded) return loaded;
  }
  if (!segments_.empty() && segments_.front().number == cursor_number) {
    // Counts the records before the cursor; one that lies inside of a record would be damage.
    std::ifstream file(path_of(cursor_number), std::ios::binary);
    while (cursor_offset_ < cursor_offset) {
      const std::optional<std::string> record = read_record(file);
      if (!record) break;
      cursor_offset_ += static_cast<std::int64_t>(kHeaderBytes + record->size());
      ++cursor_records_;
    }
  }
  return {};
}

Result<void> Spool::load_segment(Segment& segment) {
  const std::string path = path_of(segment.number);
  std::ifstream file(path, std::ios::binary);
  while (const std::optional<std::string> record = read_record(file)) {
    segment.bytes += static_cast<std::int64_t>(kHeaderBytes + record->size());
    ++segment.records;
  }
  // What follows was being written when the process ended.
  std::error_code error;
  std::filesystem::resize_file(path, static_cast<std::uintmax_t>(segment.bytes), error);
  if (error)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: cannot be repaired: {}; make it writable", path, error.message()));
  return {};
}

Result<void> Spool::append(std::string_view record) {
  CHECK(record.size() <= kRecordMax);
  const MutexLock lock(mu_);
  if (buffer_.size() >= kBufferMax) {
    if (Result<void> flushed = flush_locked(); !flushed) return flushed;
  }
  append_number(buffer_, static_cast<std::uint32_t>(record.size()));
  append_number(buffer_, crc32(record));
  buffer_ += record;
  ++buffer_records_;
  return {};
}

Result<void> Spool::flush() {
  const MutexLock lock(mu_);
  return flush_locked();
}

Result<void> Spool::sync() {
  const MutexLock lock(mu_);
  if (Result<void> flushed = flush_locked(); !flushed) return flushed;
  if (writer_ >= 0 && ::fdatasync(writer_) != 0) return disk_failure(folder_, errno);
  return {};
}

Result<void> Spool::flush_locked() {
  if (buffer_.empty()) return {};
  if (writer_ >= 0 && segments_.back().bytes >= segment_bytes_) close_writer();
  if (writer_ < 0) {
    const std::int64_t number = next_number_;
    writer_ = ::open(path_of(number).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (writer_ < 0) return disk_failure(folder_, errno);
    segments_.push_back({.number = number});
    ++next_number_;
  }
  Segment& segment = segments_.back();
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = ::pwrite(writer_, buffer_.data() + done, buffer_.size() - done,
                               segment.bytes + static_cast<std::int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {  // all of it again, later: it lies behind the segment's end until then
      const int error = errno;
      (void)::ftruncate(writer_, segment.bytes);
      return disk_failure(folder_, error);
    }
    done += static_cast<std::size_t>(n);
  }
  segment.bytes += static_cast<std::int64_t>(buffer_.size());
  segment.records += buffer_records_;
  buffer_.clear();
  buffer_records_ = 0;
  std::int64_t total = 0;
  for (const Segment& one : segments_) total += one.bytes;
  while (total > bytes_max_ && segments_.size() > 1) {
    total -= segments_.front().bytes;
    drop_oldest();
  }
  return {};
}

void Spool::close_writer() {
  if (writer_ >= 0) ::close(writer_);
  writer_ = -1;
}

void Spool::drop_oldest() {
  dropped_ += segments_.front().records - cursor_records_;
  remove_front();
}

void Spool::remove_front() {
  std::error_code error;
  std::filesystem::remove(path_of(segments_.front().number), error);
  segments_.pop_front();
  cursor_offset_ = 0;
  cursor_records_ = 0;
  if (segments_.empty()) close_writer();
}

std::vector<std::string> Spool::peek(std::size_t records_max, std::size_t bytes_max) {
  const MutexLock lock(mu_);
  std::vector<std::string> records;
  std::size_t bytes = 0;
  peeked_.reset();
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    std::int64_t offset = i == 0 ? cursor_offset_ : 0;
    std::int64_t count = i == 0 ? cursor_records_ : 0;
    if (offset >= segment.bytes) {
      peeked_ = Peeked{segment.number, offset, count};
      continue;
    }
    std::ifstream file(path_of(segment.number), std::ios::binary);
    file.seekg(offset);
    while (offset < segment.bytes && records.size() < records_max &&
           (records.empty() || bytes < bytes_max)) {
      std::optional<std::string> record = read_record(file);
      if (!record) {  // damaged on disk: the rest of this segment is lost
        dropped_ += segment.records - count;
        offset = segment.bytes;
        count = segment.records;
        break;
      }
      offset += static_cast<std::int64_t>(kHeaderBytes + record->size());
      ++count;
      bytes += record->size();
      records.push_back(*std::move(record));
    }
    peeked_ = Peeked{segment.number, offset, count};
    if (offset < segment.bytes) break;
  }
  return records;
}

void Spool::commit() {
  const MutexLock lock(mu_);
  if (!peeked_) return;
  while (!segments_.empty() && segments_.front().number < peeked_->segment) remove_front();
  if (!segments_.empty() && segments_.front().number == peeked_->segment) {
    cursor_offset_ = peeked_->offset;
    cursor_records_ = peeked_->records;
    // A large one that is done goes, even where it is the one that is written to.
    const Segment& front = segments_.front();
    if (cursor_offset_ >= front.bytes && (segments_.size() > 1 || front.bytes >= segment_bytes_)) {
      if (segments_.size() == 1) close_writer();
      remove_front();
    }
  }
  peeked_.reset();
  save_cursor();
}

void Spool::save_cursor() {
  // A cursor that could not be written means that records come again: at least once.
  const std::int64_t number = segments_.empty() ? next_number_ : segments_.front().number;
  const std::string text = fmt::format("{:019} {:019}\n", number, cursor_offset_);
  (void)!::pwrite(cursor_fd_, text.data(), text.size(), 0);
}

std::int64_t Spool::ready_locked() const {
  std::int64_t records = -cursor_records_;
  for (const Segment& segment : segments_) records += segment.records;
  return records;
}

std::int64_t Spool::ready() const {
  const MutexLock lock(mu_);
  return ready_locked();
}

std::int64_t Spool::waiting() const {
  const MutexLock lock(mu_);
  return buffer_records_ + ready_locked();
}

std::int64_t Spool::waiting_bytes() const {
  const MutexLock lock(mu_);
  std::int64_t bytes = static_cast<std::int64_t>(buffer_.size()) - cursor_offset_;
  for (const Segment& segment : segments_) bytes += segment.bytes;
  return bytes;
}

std::int64_t Spool::dropped() const {
  const MutexLock lock(mu_);
  return dropped_;
}

}  // namespace framemill
