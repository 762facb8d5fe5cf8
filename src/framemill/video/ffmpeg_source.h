#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/video/blocking_guard.h"
#include "framemill/video/decoder.h"
#include "framemill/video/display_order.h"
#include "framemill/video/frame_clock.h"
#include "framemill/video/motion_composer.h"
#include "framemill/video/packet_reader.h"
#include "framemill/video/picture_from_avframe.h"
#include "framemill/video/reference_use.h"
#include "framemill/video/sampler.h"
#include "framemill/video/source.h"

namespace framemill {

/// Files, RTSP, HTTP, MPEG-TS over UDP and V4L2 devices, read and decoded by FFmpeg in the calling
/// thread. Pictures are handed out without a copy; the decoder's memory lives as long as they do.
///
/// A packet whose frame is not sampled, and which no other frame refers to, is not decoded. The
/// frame counts all the same, and the sampled frames are the same to the bit, as is their motion.
class FfmpegSource final : public Source {
 public:
  /// Whether frames that no one looks at are decoded too; for tests and benchmarks.
  enum class Skipping { kOn, kOff };

  /// `clock` outlives the source.
  FfmpegSource(SourceOptions options, const Clock& clock, Skipping skipping = Skipping::kOn);
  ~FfmpegSource() override;

  Result<void> open() override;
  Result<std::optional<SourceFrame>> read() override;
  void interrupt() override { guard_.interrupt(); }
  [[nodiscard]] StreamFacts facts() const override { return facts_; }
  [[nodiscard]] SourceCounts counts() const override;

 private:
  [[nodiscard]] bool is_live() const { return reader_->is_live(); }
  [[nodiscard]] bool is_paced() const { return !is_live() && options_.pace == Pace::kLive; }
  [[nodiscard]] Duration stall_timeout() const;
  [[nodiscard]] double sampler_time_s(Duration pts) const;

  Result<void> find_start();
  Result<void> advance();
  Result<void> take_packet(AVPacket& packet);
  Result<void> finish_round();
  Result<TimePoint> release(Duration decode_time);
  [[nodiscard]] bool is_skippable(const PendingFrame& frame);
  void decode(AVPacket& packet, std::int64_t packet_id);
  void drain();
  void on_decoded(AvFramePtr frame, std::int64_t packet_id);
  void deliver(const PendingFrame& settled, AvFramePtr frame);
  void deliver_settled(AvFramePtr last_frame);
  [[nodiscard]] std::shared_ptr<const MotionField> compose_motion(const PendingFrame& settled,
                                                                  AVFrame* frame, bool is_sampled);
  /// At the end of a file: why it is not whole; empty where it is, or does not say how long it is.
  [[nodiscard]] std::optional<Error> find_break() const;
  void note_health(bool is_good);
  Result<void> check_health() const;

  // Constant after construction.
  const SourceOptions options_;
  const Clock& clock_;

  BlockingGuard guard_;  // synchronizes itself

  // Used by the reading thread only.
  std::unique_ptr<PacketReader> reader_;
  std::unique_ptr<Decoder> decoder_;
  std::optional<ReferenceUse> references_;
  std::optional<FrameClock> frame_clock_;
  AvPacketPtr packet_;
  PictureMaker pictures_;
  DisplayOrder order_;
  MotionComposer motion_;
  Duration motion_cpu_{0};  // since the last sampled frame
  Sampler sampler_;
  std::vector<PendingFrame> settled_;  // only within a call
  std::deque<SourceFrame> ready_;      // delivered frames that read() has not handed out yet
  bool may_skip_;
  bool has_ended_ = false;
  std::optional<Error> end_error_;  // told once all frames are handed out

  StreamFacts facts_;
  bool is_rate_announced_ = false;  // else it is measured
  SourceCounts counts_;
  std::int64_t packet_id_ = 0;
  std::int64_t packet_of_round_ = 0;
  std::int64_t start_packet_ = 0;  // of the first round; those before are counted, not decoded
  std::int64_t round_ = 0;
  std::int64_t frame_index_ = 0;
  std::int64_t frames_before_round_ = 0;  // frame_index_ when the round began
  std::int64_t file_frame_index_ = 0;
  std::optional<Duration> round_key_pts_;  // as in the stream, of the round's first key frame
  std::optional<Duration> zero_pts_;       // the sampler's zero
  std::optional<Duration> first_pts_;      // of the first frame delivered
  std::optional<Duration> start_pts_;      // first frame to deliver has at least this
  std::optional<Duration> first_decode_time_;
  TimePoint first_release_;
  WallTime open_wall_;
  TimePoint last_captured_;  // of the packet read last
  std::optional<TimePoint> first_arrival_;
  std::optional<TimePoint> bad_since_;  // no frame has been decodable since
  std::int64_t bad_count_ = 0;
};

}  // namespace framemill
