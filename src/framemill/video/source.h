#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/core/frame.h"
#include "framemill/core/motion.h"
#include "framemill/core/policy.h"
#include "framemill/video/hardware_decoder.h"
#include "framemill/video/sampler.h"

namespace framemill {

/// What a source turned out to be; valid after open(), and again after a change in mid-stream.
struct StreamFacts {
  std::string codec;         ///< "h264", "hevc", "mjpeg", "synthetic", ...
  Size size;                 ///< of the picture
  double frame_rate_hz = 0;  ///< as announced or measured; 0: unknown
  bool is_live = false;      ///< a camera; false: a file
  double duration_s = 0;     ///< of a file, as its head announces it; 0: unknown
};

/// One frame in display order, sampled or not.
struct SourceFrame {
  std::int64_t frame_index = 0;  ///< from 0 since open(), counting also frames never decoded
  std::optional<std::int64_t> file_frame_index;  ///< looped files only
  double pts_s = 0;      ///< seconds since the first frame; continues over loops
  WallTime captured_at;  ///< see FrameStamp
  TimePoint captured_mono;
  Duration reorder_delay{0};
  bool is_sampled = false;
  bool is_failed = false;                  ///< sampled, but decoding failed: no picture
  bool is_loop_start = false;              ///< first frame of a further round of a looped file
  std::shared_ptr<const Picture> picture;  ///< only where sampled and not failed
  /// Since the previous sampled frame of this source; null: not wanted, or the codec tells none.
  std::shared_ptr<const MotionField> motion;
  /// CPU time that reading and composing vectors took since the previous sampled frame, the
  /// decoder's own left out; sampled frames.
  Duration motion_cpu{0};
};

/// What decoding cost so far, for summary and benchmarks.
struct SourceCounts {
  std::int64_t packets = 0;          ///< video packets demuxed
  std::int64_t packets_skipped = 0;  ///< not sent to the decoder: no one would look at the frame
  std::int64_t frames_decoded = 0;
  std::int64_t decode_errors = 0;
  Duration decode_cpu{0};  ///< CPU time of the reading thread in the decoder
};

/// One video input. open(), then read() until it ends or fails; then destroy and make a new one.
/// Thread-safety: one thread calls open() and read(); interrupt() is safe from any other.
class Source {
 public:
  virtual ~Source() = default;

  /// Connects and reads the stream's head; blocks up to the open time-out.
  /// Errors: kNotFound (no such file or stream), kFailedPrecondition (credentials refused),
  /// kUnsupported (no decoder, no video in it), kInvalidArgument (not a video, bad URL),
  /// kUnavailable (network: try again), kCancelled (interrupted).
  virtual Result<void> open() = 0;

  /// Next frame in display order; empty at the end of a file. Blocks until there is one, up to the
  /// stall time-out. Errors as open(); after an error or the end only destruction is allowed.
  virtual Result<std::optional<SourceFrame>> read() = 0;

  /// Makes a blocked or later open() or read() return kCancelled soon.
  virtual void interrupt() = 0;

  [[nodiscard]] virtual StreamFacts facts() const = 0;
  [[nodiscard]] virtual SourceCounts counts() const = 0;
};

/// Whether a source may connect to a numeric address ("10.0.0.5", "fe80::1%eth0"); else an error
/// that names it, for people. Empty: anywhere. Any thread.
using AddressFilter = std::function<Result<void>(std::string_view address)>;

struct SourceOptions {
  std::string url;  ///< rtsp://, rtsps://, http(s)://, /dev/videoN, synthetic://, or a file's path
  std::string username;  ///< joined into the URL where the protocol wants it; never logged
  std::string password;
  AddressFilter may_connect_to;  ///< of network streams, wherever they lead; empty: anywhere
  Transport transport = Transport::kAuto;                   ///< RTSP; kAuto is TCP
  std::shared_ptr<const HardwareDecoder> hardware_decoder;  ///< null: the processor decodes
  Pace pace = Pace::kLive;                                  ///< files and synthetic:// only
  bool is_looped = false;                                   ///< files only
  bool is_motion_wanted = false;  ///< sampled frames come with the decoder's vectors
  Duration start{0};  ///< files only: where the first round starts, at a key frame or after it
  SamplerOptions sampling;
  Duration open_timeout = std::chrono::seconds(10);
  Duration stall_timeout_min = std::chrono::seconds(3);  ///< max(this, 5 mean packet intervals)
};

/// True for what is opened again after it ended or failed: network streams and devices.
[[nodiscard]] bool is_live_url(const std::string& url);

/// Chooses the kind of source by the URL: SyntheticSource for synthetic://, else FfmpegSource.
/// Errors: kInvalidArgument for a scheme that is not allowed.
[[nodiscard]] Result<std::unique_ptr<Source>> create_source(const SourceOptions& options,
                                                            const Clock& clock);

}  // namespace framemill
