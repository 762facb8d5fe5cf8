#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

extern "C" {
#include <libavutil/motion_vector.h>
}

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/video/av_handles.h"
#include "framemill/video/hardware_decoder.h"

namespace framemill {

/// One video decoder with one thread. Frames come out in display order, each with the id of the
/// packet it was made from. Not thread-safe.
class Decoder {
 public:
  /// Whether frames bring the vectors they were coded with, where the codec has some. They cost
  /// time and change no picture.
  enum class MotionVectors { kNone, kExported };
  /// A frame and the packet it came from.
  using OnFrame = std::function<void(AvFramePtr frame, std::int64_t packet_id)>;

  /// `hardware`: decodes in the processor's place where no vectors are asked for; null: none.
  /// Errors: kUnsupported (no decoder for the codec), kInvalidArgument (its parameters are broken).
  static Result<std::unique_ptr<Decoder>> create(const AVCodecParameters& parameters,
                                                 MotionVectors vectors = MotionVectors::kNone,
                                                 const HardwareDecoder* hardware = nullptr);

  /// Decodes `packet` (its time stamps are overwritten) and hands out what is ready. False if the
  /// decoder refused it; frames may come out all the same.
  bool decode(AVPacket& packet, std::int64_t packet_id, const OnFrame& on_frame);

  /// Hands out all that is left and makes ready for a new beginning.
  void drain(const OnFrame& on_frame);

  /// Frames of this stream may bring vectors: asked for, and H.264, MPEG-4 or MPEG-1/2.
  [[nodiscard]] bool has_vectors() const { return has_vectors_; }
  /// The vectors of a frame of this decoder, valid while it holds them. Empty where it has none
  /// (intra) or where they would mislead: broken frames, interlaced ones, whose vectors refer to
  /// fields, and B frames of MPEG-4, with which FFmpeg exports what its buffer held before.
  [[nodiscard]] std::span<const AVMotionVector> vectors_of(const AVFrame& frame) const;

  /// Whether frames may be surfaces of a device.
  [[nodiscard]] bool is_hardware() const { return parameters_ != nullptr; }
  [[nodiscard]] std::string codec_name() const;
  [[nodiscard]] bool is_intra_only() const;
  /// Frames which the decoder holds back for reordering, as far as it knows by now.
  [[nodiscard]] int reorder_frames() const { return context_->has_b_frames; }
  /// Broken data has made the decoder hold back more frames than the stream needs, which would last
  /// for ever: drain() at the next key frame.
  [[nodiscard]] bool is_delay_suspect() const { return is_delay_suspect_; }
  [[nodiscard]] double frame_rate_hz() const { return av_q2d_or_zero(context_->framerate); }
  [[nodiscard]] Duration cpu() const { return cpu_; }

 private:
  explicit Decoder(AvCodecContextPtr context) : context_(std::move(context)) {}
  static double av_q2d_or_zero(AVRational q) { return q.den > 0 && q.num > 0 ? av_q2d(q) : 0; }
  bool send(const AVPacket* packet, const OnFrame& on_frame);
  void guard_delay(bool is_good);
  void guard_hardware(bool is_good, const OnFrame& on_frame);

  AvCodecContextPtr context_;
  AvCodecParametersPtr parameters_;  // to open the processor's decoder in the device's place
  int hardware_failures_ = 0;        // in a row
  bool has_vectors_ = false;
  std::int64_t packets_ = 0;
  std::int64_t good_run_ = 0;     // packets since the last one refused
  std::int64_t reorder_age_ = 0;  // packets since the reorder depth changed
  int last_reorder_ = 0;
  int proven_reorder_ = 0;
  bool is_delay_suspect_ = false;
  Duration cpu_{0};
};

}  // namespace framemill
