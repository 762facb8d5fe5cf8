#include "framemill/video/ffmpeg_source.h"

#include <algorithm>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/cpu_time.h"
#include "framemill/base/url.h"

namespace framemill {
namespace {

using std::chrono::seconds;

// A camera with "smart" coding sends key frames this rarely; more is a broken stream.
constexpr Duration kKeyFrameWait = seconds(30);
// Fewer failures than this may be bad luck at a low rate, however long they are apart.
constexpr std::int64_t kBadFramesMin = 5;

std::span<const std::uint8_t> bytes_of(const AVPacket& packet) {
  return {packet.data, static_cast<std::size_t>(packet.size)};
}

}  // namespace

FfmpegSource::FfmpegSource(SourceOptions options, const Clock& clock, Skipping skipping)
    : options_(std::move(options)),
      clock_(clock),
      packet_(av_packet_alloc()),
      sampler_(options_.sampling),
      may_skip_(skipping == Skipping::kOn) {}

FfmpegSource::~FfmpegSource() = default;

Result<void> FfmpegSource::open() {
  if (guard_.is_interrupted())
    return fail(ErrorCode::kCancelled, redact(options_.url) + ": interrupted");
  if (packet_ == nullptr) return fail(ErrorCode::kResourceExhausted, "no memory for a packet");
  Result<std::unique_ptr<PacketReader>> reader = PacketReader::open(options_, guard_);
  if (!reader) return fail(reader.error());
  reader_ = std::move(*reader);
  const AVCodecParameters& parameters = reader_->parameters();
  Result<std::unique_ptr<Decoder>> decoder = Decoder::create(
      parameters,
      options_.is_motion_wanted ? Decoder::MotionVectors::kExported : Decoder::MotionVectors::kNone,
      options_.hardware_decoder.get());
  if (!decoder) return fail(decoder.error().at(redact(options_.url)));
  decoder_ = std::move(*decoder);
  references_.emplace(parameters);
  facts_ = {.codec = decoder_->codec_name(),
            .size = {parameters.width, parameters.height},
            .frame_rate_hz = reader_->frame_rate_hz(),
            .is_live = is_live(),
            .duration_s = reader_->duration_s()};
  if (facts_.frame_rate_hz <= 0) facts_.frame_rate_hz = decoder_->frame_rate_hz();
  is_rate_announced_ = facts_.frame_rate_hz > 0;
  const Duration interval =
      facts_.frame_rate_hz > 0 ? from_seconds(1 / facts_.frame_rate_hz) : Duration::zero();
  frame_clock_.emplace(is_live() ? FrameClock::Kind::kLive : FrameClock::Kind::kFile, interval);
  open_wall_ = clock_.wall_now();
  if (!is_live() && options_.start > Duration::zero()) return find_start();
  return {};
}

Result<void> FfmpegSource::find_start() {
  std::optional<Duration> begin;
  Duration last{0};
  bool is_found = false;
  for (std::int64_t i = 0; !is_found; ++i) {
    const Result<bool> more = reader_->read(*packet_, stall_timeout());
    if (!more) return fail(more.error());
    if (!*more) break;
    const PacketTimes times = reader_->times_of(*packet_);
    const std::optional<Duration> shown = times.pts ? times.pts : times.dts;
    if (!shown) continue;
    if (!begin) begin = shown;
    last = std::max(last, *shown - *begin);
    if ((packet_->flags & AV_PKT_FLAG_KEY) != 0 && *shown - *begin <= options_.start)
      start_packet_ = i;
    is_found = times.dts.value_or(*shown) - *begin > options_.start;
  }
  av_packet_unref(packet_.get());
  if (last < options_.start)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: start {:.3f} s lies behind its end ({:.3f} s)",
                            redact(options_.url), to_seconds(options_.start), to_seconds(last)));
  return reader_->rewind();
}

Duration FfmpegSource::stall_timeout() const {
  // Until an interval is known, a stream that announces none may be a slow one.
  constexpr std::int64_t kPacketsMin = 3, kIntervals = 5, kFirstPart = 4;
  const Duration least = options_.stall_timeout_min;
  if (!first_arrival_) return least;
  if (counts_.packets >= kPacketsMin)
    return std::max(least, kIntervals * (last_captured_ - *first_arrival_) / (counts_.packets - 1));
  if (!is_rate_announced_) return kFirstPart * least;
  return std::max(least, from_seconds(static_cast<double>(kIntervals) / facts_.frame_rate_hz));
}

double FfmpegSource::sampler_time_s(Duration pts) const {
  return to_seconds(pts - zero_pts_.value_or(Duration::zero()));
}

SourceCounts FfmpegSource::counts() const {
  SourceCounts counts = counts_;
  if (decoder_ != nullptr) counts.decode_cpu = decoder_->cpu();
  return counts;
}

Result<std::optional<SourceFrame>> FfmpegSource::read() {
  while (ready_.empty()) {
    if (has_ended_ && end_error_) return fail(*end_error_);
    if (has_ended_) return std::optional<SourceFrame>();
    if (const Result<void> advanced = advance(); !advanced) return fail(advanced.error());
  }
  std::optional<SourceFrame> frame(std::move(ready_.front()));
  ready_.pop_front();
  return frame;
}

Result<void> FfmpegSource::advance() {
  const Result<bool> more = reader_->read(*packet_, stall_timeout());
  if (!more) return fail(more.error());
  if (!*more) return finish_round();
  const Result<void> taken = take_packet(*packet_);
  av_packet_unref(packet_.get());
  return taken;
}

Result<void> FfmpegSource::take_packet(AVPacket& packet) {
  const TimePoint arrival = clock_.now();
  const std::int64_t place_in_round = packet_of_round_++;
  ++counts_.packets;
  if (!first_arrival_) first_arrival_ = arrival;
  last_captured_ = arrival;

  std::size_t extradata_size = 0;
  const std::uint8_t* const extradata =
      av_packet_get_side_data(&packet, AV_PKT_DATA_NEW_EXTRADATA, &extradata_size);
  if (extradata != nullptr) references_->update_extradata({extradata, extradata_size});

  const PacketTimes times = reader_->times_of(packet);
  const bool is_key = (packet.flags & AV_PKT_FLAG_KEY) != 0;
  if (is_key && !round_key_pts_) round_key_pts_ = times.pts.value_or(Duration::min());
  if (!round_key_pts_ && is_live()) {
    // Joined between key frames: nothing is decodable yet, and nothing counts.
    if (arrival - *first_arrival_ < kKeyFrameWait) return {};
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: no key frame for {:.0f} s; set the camera's key frame interval "
                            "(GOP) to a few seconds",
                            redact(options_.url), to_seconds(kKeyFrameWait)));
  }
  const bool is_leading = !round_key_pts_ || (times.pts && *times.pts < *round_key_pts_);
  // Behind what has been delivered there is no place for it any more.
  if (is_leading && order_.last_settled() && round_key_pts_) return {};

  const FrameClock::Place place = frame_clock_->place(times, arrival, order_.last_settled());
  if (!place.is_order_known) order_.distrust();
  if (!zero_pts_) {
    zero_pts_ = place.pts;
    start_pts_ = place.pts + options_.start;
  }
  // What lies before the start is not waited for: time begins with the first frame delivered.
  const bool is_before_start = round_ == 0 && !is_live() && place.pts < *start_pts_;
  const Result<TimePoint> captured =
      is_paced() && !is_before_start ? release(place.decode_time) : arrival;
  if (!captured) return fail(captured.error());
  last_captured_ = *captured;

  const std::int64_t packet_id = packet_id_++;
  if ((packet.flags & AV_PKT_FLAG_DISCARD) != 0) {
    decode(packet, packet_id);  // cut away by the file's edit list; others may refer to it
    motion_.reset();
    return {};
  }
  PendingFrame frame{.packet_id = packet_id,
                     .pts = place.pts,
                     .captured = *captured,
                     .is_hidden = is_before_start,
                     .may_be_referenced = references_->may_be_referenced(bytes_of(packet)),
                     .is_leading = is_leading,
                     .is_grid_start = place.is_jump,
                     .is_loop_start = round_ > 0 && place_in_round == 0};
  const bool is_unreached = round_ == 0 && place_in_round < start_packet_;
  if (is_unreached || is_skippable(frame)) {
    ++counts_.packets_skipped;
    // Frames before the start wait their turn like any other: here even those that others refer to,
    // and that are reordered, are left out.
    frame.state = is_unreached ? PendingFrame::State::kLost : PendingFrame::State::kSkipped;
    order_.add(frame, settled_);
    deliver_settled(nullptr);
    return {};
  }
  if (is_key && decoder_->is_delay_suspect()) drain();
  order_.set_in_order(decoder_->reorder_frames() == 0);
  order_.add(frame, settled_);
  deliver_settled(nullptr);
  decode(packet, packet_id);
  return check_health();
}

Result<TimePoint> FfmpegSource::release(Duration decode_time) {
  if (!first_decode_time_) {
    first_decode_time_ = decode_time;
    first_release_ = clock_.now();
  }
  // A reader that is late finds what a camera would have sent meanwhile: packets as old as they
  // are.
  const TimePoint due = first_release_ + (decode_time - *first_decode_time_);
  if (!guard_.wait_until(due, clock_))
    return fail(ErrorCode::kCancelled, redact(options_.url) + ": interrupted");
  return due;
}

bool FfmpegSource::is_skippable(const PendingFrame& frame) {
  if (!may_skip_ || frame.is_leading) return false;
  if (!order_.is_trusted() && !decoder_->is_intra_only()) return false;
  if (frame.may_be_referenced) return false;
  if (frame.is_hidden) return true;
  // All frames shown before it have arrived (nothing that refers to others is reordered behind a
  // frame that no one refers to), so the sampler can be asked ahead.
  Sampler sampler = sampler_;
  const auto would_take = [this, &sampler](const PendingFrame& f) {
    if (f.is_grid_start) sampler.restart_grid();
    return sampler.take(sampler_time_s(f.pts));
  };
  for (const PendingFrame& before : order_.pending()) {
    if (before.is_leading) return false;  // whether it counts is not known yet
    if (before.pts > frame.pts) break;
    if (!before.is_hidden) (void)would_take(before);
  }
  return !would_take(frame);
}

void FfmpegSource::decode(AVPacket& packet, std::int64_t packet_id) {
  const bool is_good = decoder_->decode(
      packet, packet_id,
      [this](AvFramePtr frame, std::int64_t id) { on_decoded(std::move(frame), id); });
  if (is_good) return;
  // Lost frames are counted when they are settled; here only what came out in spite of an error.
  if (!order_.mark_lost(packet_id)) ++counts_.decode_errors;
  note_health(false);
  order_.settle_lost(settled_);
  deliver_settled(nullptr);
}

void FfmpegSource::on_decoded(AvFramePtr frame, std::int64_t packet_id) {
  ++counts_.frames_decoded;
  note_health(true);
  if (frame->width > 0 && frame->height > 0) facts_.size = {frame->width, frame->height};
  if (!order_.settle(packet_id, settled_)) return;
  deliver_settled(std::move(frame));
}

void FfmpegSource::deliver_settled(AvFramePtr decoded) {
  for (const PendingFrame& settled : settled_) {
    const bool is_decoded = settled.state == PendingFrame::State::kDecoded;
    deliver(settled, is_decoded ? std::exchange(decoded, nullptr) : nullptr);
  }
  settled_.clear();
}

void FfmpegSource::deliver(const PendingFrame& settled, AvFramePtr frame) {
  const bool is_lost = settled.state == PendingFrame::State::kLost;
  if (is_lost && settled.is_leading) return;  // shown before the first key frame, never decodable
  const std::int64_t file_frame_index = file_frame_index_++;
  if (settled.is_hidden) {
    (void)compose_motion(settled, frame.get(), false);
    return;
  }
  if (is_lost) {
    ++counts_.decode_errors;
    note_health(false);
  }

  if (!first_pts_) first_pts_ = settled.pts;
  SourceFrame out;
  const std::int64_t out_index = frame_index_++;
  out.frame_index = out_index;
  if (options_.is_looped) out.file_frame_index = file_frame_index;
  out.pts_s = to_seconds(settled.pts - *first_pts_);
  out.captured_mono = settled.captured;
  out.captured_at = !is_live() && options_.pace == Pace::kFast
                        ? open_wall_ + (settled.pts - *first_pts_)
                        : clock_.wall_now() - (clock_.now() - settled.captured);
  out.reorder_delay = std::max(Duration::zero(), last_captured_ - settled.captured);
  out.is_loop_start = settled.is_loop_start;
  if (settled.is_grid_start) sampler_.restart_grid();
  out.is_sampled = sampler_.take(sampler_time_s(settled.pts));
  out.motion = compose_motion(settled, frame.get(), out.is_sampled);
  if (out.is_sampled) {
    out.motion_cpu = std::exchange(motion_cpu_, Duration::zero());
    if (frame != nullptr) out.picture = pictures_.make(std::move(frame));
    out.is_failed = out.picture == nullptr;
    // It had been skipped for one that no one looks at: this stream's order is not what it seems.
    if (settled.state == PendingFrame::State::kSkipped) may_skip_ = false;
  }
  ready_.push_back(std::move(out));

  constexpr std::int64_t kFramesToMeasure = 10;
  const double span_s = to_seconds(settled.pts - *first_pts_);
  if (!is_rate_announced_ && frame_index_ >= kFramesToMeasure && span_s > 0)
    facts_.frame_rate_hz = static_cast<double>(out_index) / span_s;
}

std::shared_ptr<const MotionField> FfmpegSource::compose_motion(const PendingFrame& settled,
                                                                AVFrame* frame, bool is_sampled) {
  if (!decoder_->has_vectors()) return nullptr;
  const CpuSpan span(motion_cpu_);
  if (frame == nullptr) {
    // Skipped frames carry no chain. Behind a lost one the decoder conceals what it does not know.
    if (is_sampled || (settled.state == PendingFrame::State::kLost && settled.may_be_referenced))
      motion_.reset();
    return nullptr;
  }
  CodedMotion coded{.packet_id = settled.packet_id,
                    .pts = settled.pts,
                    .picture_size = {frame->width, frame->height},
                    .vectors = decoder_->vectors_of(*frame),
                    .may_be_referenced = settled.may_be_referenced,
                    .is_sampled = is_sampled};
  for (const PendingFrame& later : order_.pending()) {
    if (later.state != PendingFrame::State::kSent) continue;
    coded.oldest_pending_id =
        std::min(coded.oldest_pending_id.value_or(later.packet_id), later.packet_id);
    if (!coded.next_reference_pts && later.may_be_referenced && later.packet_id < settled.packet_id)
      coded.next_reference_pts = later.pts;
  }
  std::shared_ptr<const MotionField> motion = motion_.add(coded);
  // The picture would keep them as long as it lives.
  av_frame_remove_side_data(frame, AV_FRAME_DATA_MOTION_VECTORS);
  return motion;
}

void FfmpegSource::drain() {
  decoder_->drain([this](AvFramePtr frame, std::int64_t id) { on_decoded(std::move(frame), id); });
  order_.flush(settled_);
  deliver_settled(nullptr);
}

Result<void> FfmpegSource::finish_round() {
  drain();
  const bool is_round_empty = frame_index_ == frames_before_round_;
  if (!options_.is_looped || is_round_empty) {
    has_ended_ = true;
    end_error_ = find_break();
    return {};
  }
  motion_.reset();
  ++round_;
  packet_of_round_ = 0;
  file_frame_index_ = 0;
  frames_before_round_ = frame_index_;
  round_key_pts_.reset();
  frame_clock_->begin_round();
  return reader_->rewind();
}

std::optional<Error> FfmpegSource::find_break() const {
  constexpr double kLeastS = .5, kLeastPart = .1, kFrames = 2;
  const double announced_s = reader_->video_duration_s();
  if (is_live() || options_.is_looped || announced_s <= 0) return std::nullopt;
  if (!zero_pts_ || !order_.last_settled()) return std::nullopt;
  const double shown_s = to_seconds(*order_.last_settled() - *zero_pts_);
  const double frames_s = facts_.frame_rate_hz > 0 ? kFrames / facts_.frame_rate_hz : 0;
  if (shown_s + std::max({kLeastS, kLeastPart * announced_s, frames_s}) >= announced_s)
    return std::nullopt;
  return Error(ErrorCode::kInvalidArgument,
               fmt::format("{}: it breaks off after {:.1f} of {:.1f} s; copy it again",
                           redact(options_.url), shown_s, announced_s));
}

void FfmpegSource::note_health(bool is_good) {
  if (is_good) {
    bad_since_.reset();
    bad_count_ = 0;
    return;
  }
  if (!bad_since_) bad_since_ = clock_.now();
  ++bad_count_;
}

Result<void> FfmpegSource::check_health() const {
  if (!is_live() || !bad_since_ || bad_count_ < kBadFramesMin) return {};
  const Duration bad_for = clock_.now() - *bad_since_;
  if (bad_for < stall_timeout()) return {};
  return fail(ErrorCode::kUnavailable, fmt::format("{}: no decodable frame for {:.1f} s",
                                                   redact(options_.url), to_seconds(bad_for)));
}

}  // namespace framemill
