#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "framemill/base/result.h"
#include "framemill/base/url.h"
#include "framemill/video/av_handles.h"
#include "framemill/video/blocking_guard.h"
#include "framemill/video/frame_clock.h"
#include "framemill/video/source.h"
#include "framemill/video/source_url.h"

namespace framemill {

class ConnectGate;

/// Reads the packets of the one video stream of a file, network stream or device. Every call ends
/// in bounded time: network and device calls by deadline, all by the guard's interrupt(). Not
/// thread-safe.
class PacketReader {
 public:
  /// Blocks up to options.open_timeout. `guard` outlives the reader. Errors as Source::open().
  static Result<std::unique_ptr<PacketReader>> open(const SourceOptions& options,
                                                    BlockingGuard& guard);

  /// Puts the next packet of the video stream into `packet`; false at the end of a file.
  /// Errors: kUnavailable where nothing came within `stall_timeout` (live only), the connection
  /// broke or a live stream ended, kCancelled, kInvalidArgument where the file is broken for good.
  Result<bool> read(AVPacket& packet, Duration stall_timeout);

  /// Back to the first packet of a file.
  Result<void> rewind();

  [[nodiscard]] bool is_live() const { return kind_ != UrlKind::kFile; }
  [[nodiscard]] const AVCodecParameters& parameters() const;
  /// As announced by the container; 0: unknown.
  [[nodiscard]] double frame_rate_hz() const;
  /// Of a file, as announced by the container; 0: unknown.
  [[nodiscard]] double duration_s() const;
  /// The same of the video alone, where the container says so rather than guesses; 0: it does not.
  [[nodiscard]] double video_duration_s() const;
  /// The packet's time stamps; those missing, or beyond reason, are empty.
  [[nodiscard]] PacketTimes times_of(const AVPacket& packet) const;

 private:
  PacketReader(const SourceOptions& options, UrlKind kind, BlockingGuard& guard)
      : options_(options), kind_(kind), name_(redact(options.url)), guard_(guard) {}

  Result<void> open_format();
  Result<void> choose_stream();
  /// A live stream of pictures without time stamps (Motion JPEG by HTTP).
  [[nodiscard]] bool has_no_time_stamps() const;
  [[nodiscard]] Failure open_failure(int av_error) const;
  /// The gate's, which has one.
  [[nodiscard]] Failure refusal(const ConnectGate& gate) const;
  [[nodiscard]] Failure read_failure(int av_error, Duration waited) const;

  const SourceOptions options_;
  const UrlKind kind_;
  const std::string name_;  ///< without credentials
  BlockingGuard& guard_;
  AvFormatContextPtr format_;
  int stream_index_ = -1;
  std::optional<std::int64_t> first_pts_;  ///< to see whether a seek really led to the beginning
  AvPacketPtr first_again_;                ///< read by rewind(), not handed out yet
};

}  // namespace framemill
