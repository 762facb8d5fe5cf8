#include "framemill/engine/camera_session.h"

#include <functional>
#include <utility>

#include <spdlog/spdlog.h>

#include "framemill/base/cpu_time.h"
#include "framemill/base/thread_name.h"
#include "framemill/base/thread_priority.h"
#include "framemill/vision/edge_density.h"

namespace framemill {
namespace {

/// Wide enough to tell scenes apart, cheap enough for each sampled frame.
constexpr int kThumbnailWidth = 80;

/// The smallest thumbnail that is not narrower than `width`, or the largest.
const Thumbnail& thumbnail_of(const MotionFrame& frame, int width) {
  for (std::size_t i = frame.luma.size(); i-- > 1;) {
    if (frame.luma[i].size.width >= width) return frame.luma[i];
  }
  return frame.luma.front();
}

}  // namespace

void add_counts(SourceCounts& sum, const SourceCounts& counts) {
  sum.packets += counts.packets;
  sum.packets_skipped += counts.packets_skipped;
  sum.frames_decoded += counts.frames_decoded;
  sum.decode_errors += counts.decode_errors;
  sum.decode_cpu += counts.decode_cpu;
}

std::string_view to_string(CameraState state) {
  switch (state) {
    case CameraState::kConnecting:
      return "connecting";
    case CameraState::kUp:
      return "up";
    case CameraState::kFrozen:
      return "frozen";
    case CameraState::kDown:
      return "down";
    case CameraState::kPaused:
      return "paused";
    case CameraState::kEnded:
      return "ended";
    case CameraState::kFailed:
      return "failed";
  }
  return "unknown";
}

CameraSession::CameraSession(CameraSessionOptions options, SourceFactory factory,
                             AnswerLedger& ledger, FrameScheduler& scheduler, const Clock& clock)
    : options_(std::move(options)),
      factory_(std::move(factory)),
      ledger_(ledger),
      scheduler_(scheduler),
      clock_(clock),
      frames_delivered_(options_.first.frame_index),
      seq_(options_.first.seq),
      epoch_(options_.first.epoch),
      backoff_(std::hash<std::string>{}(options_.id)),
      is_pause_wanted_(options_.is_paused),
      thread_([this] {
        run();
        has_left_ = true;
      }) {}

CameraSession::~CameraSession() {
  request_stop();
  if (thread_.joinable()) thread_.join();
}

void CameraSession::request_stop() {
  std::shared_ptr<Source> source;
  {
    const MutexLock lock(mu_);
    is_stopping_ = true;
    source = source_;
  }
  if (source) source->interrupt();
  stopping_.notify_all();
}

void CameraSession::wait_until_quiet() {
  const MutexLock lock(mu_);
  while (is_handing_over_) stopping_.wait(mu_);
}

CameraStatus CameraSession::status() const {
  const MutexLock lock(mu_);
  return status_;
}

void CameraSession::set_state(CameraState state, const std::string& error) {
  const MutexLock lock(mu_);
  if (is_stopping_) return;
  status_.state = state;
  status_.last_error = error;
}

bool CameraSession::wait(Duration time) {
  const MutexLock lock(mu_);
  const auto until = std::chrono::steady_clock::now() + time;
  while (!is_stopping_ && !is_restart_wanted_ && std::chrono::steady_clock::now() < until)
    stopping_.wait_until(mu_, until);
  return !is_stopping_;
}

bool CameraSession::redirect(bool is_paused, bool is_restarted) {
  std::shared_ptr<Source> source;
  {
    const MutexLock lock(mu_);
    if (has_ended_) return false;
    const bool is_interrupted = is_restarted || (is_paused && !is_pause_wanted_);
    is_pause_wanted_ = is_paused;
    is_restart_wanted_ |= is_interrupted;  // until the thread has seen it
    if (is_interrupted) source = source_;
  }
  if (source) source->interrupt();
  stopping_.notify_all();
  return true;
}

bool CameraSession::pause() { return redirect(true, false); }
bool CameraSession::resume() { return redirect(false, false); }
bool CameraSession::restart() { return redirect(false, true); }

bool CameraSession::is_paused() const {
  const MutexLock lock(mu_);
  return is_pause_wanted_;
}

CameraPosition CameraSession::position() const {
  const MutexLock lock(mu_);
  return {.seq = seq_, .epoch = epoch_ + 1, .frame_index = frames_delivered_};
}

bool CameraSession::wait_while_paused() {
  const MutexLock lock(mu_);
  if (is_pause_wanted_) {
    status_.state = CameraState::kPaused;
    status_.last_error.clear();
    while (is_pause_wanted_ && !is_stopping_) stopping_.wait(mu_);
    if (!is_stopping_) status_.state = CameraState::kConnecting;
    backoff_.reset();
  }
  is_restart_wanted_ = false;
  return !is_stopping_;
}

bool CameraSession::is_redirected() {
  const MutexLock lock(mu_);
  return is_restart_wanted_;
}

void CameraSession::run() {
  name_this_thread("cam", options_.id);
  if (options_.nice > 0) lower_thread_priority(options_.nice);
  if (options_.start_delay > Duration::zero()) (void)wait(options_.start_delay);
  while (wait_while_paused()) {
    const std::optional<Error> error = run_epoch();
    {
      const MutexLock lock(mu_);
      if (source_) add_counts(counts_before_epoch_, source_->counts());
      status_.source = counts_before_epoch_;
      source_.reset();
    }
    if (is_stopping_) break;
    if (is_redirected()) {
      backoff_.reset();
      set_state(CameraState::kConnecting);
      continue;
    }
    if (!error || !options_.is_reconnecting) {
      if (error) spdlog::error("{}: {}", options_.id, error->message());
      const MutexLock lock(mu_);
      if (is_restart_wanted_) continue;
      status_.state = error ? CameraState::kFailed : CameraState::kEnded;
      status_.last_error = error ? error->message() : std::string();
      status_.is_cut_short = error && has_picture_;
      has_ended_ = true;
      break;
    }
    const Duration pause = backoff_.next(error->code());
    if (status().last_error != error->message()) {
      spdlog::warn("{}: {}; trying again", options_.id, error->message());
    }
    set_state(CameraState::kDown, error->message());
    if (!wait(pause)) break;
  }
  if (is_stopping_) {
    const MutexLock lock(mu_);
    has_ended_ = true;  // its state stays what it was when it was asked to end
  }
  scheduler_.end_camera(options_.camera);
}

std::optional<Error> CameraSession::run_epoch() {
  Result<std::unique_ptr<Source>> created = factory_(options_.source, clock_);
  if (!created) return created.error();
  const std::shared_ptr<Source> source = std::move(*created);
  {
    const MutexLock lock(mu_);
    if (is_stopping_ || is_restart_wanted_) return std::nullopt;
    source_ = source;
  }
  if (const Result<void> opened = source->open(); !opened) return opened.error();
  {
    const MutexLock lock(mu_);
    if (is_stopping_) return std::nullopt;
    if (has_opened_) ++epoch_;
  }
  has_opened_ = true;
  frames_before_epoch_ = frames_delivered_;
  is_next_stream_start_ = true;
  is_next_scene_start_ = true;
  picture_unchanged_since_.reset();
  bool has_frame = false;
  has_picture_ = false;
  auto status_due = clock_.now();
  while (!is_stopping_) {
    Result<std::optional<SourceFrame>> read = source->read();
    if (!read) return read.error();
    if (!*read) {
      if (!has_frame) {
        return Error(ErrorCode::kInvalidArgument, "the source ended without a single frame");
      }
      if (!has_picture_)
        return Error(ErrorCode::kInvalidArgument, "none of its frames could be decoded");
      return std::nullopt;
    }
    if (const TimePoint now = clock_.now(); !has_frame || now >= status_due) {
      status_due = now + std::chrono::milliseconds(500);
      SourceCounts counts = source->counts();
      const MutexLock lock(mu_);
      add_counts(counts, counts_before_epoch_);
      status_.source = counts;
      status_.facts = source->facts();
      status_.reconnects = epoch_;
    }
    has_frame = true;
    // A camera whose frames all fail to decode is not up.
    if (!has_picture_ && !(*read)->is_failed &&
        ((*read)->picture || source->counts().frames_decoded > 0)) {
      has_picture_ = true;
      backoff_.reset();
      if (epoch_ > options_.first.epoch) spdlog::info("{}: up again", options_.id);
      set_state(CameraState::kUp);
    }
    if (!hand_over(std::move(**read))) return std::nullopt;
  }
  return std::nullopt;
}

bool CameraSession::hand_over(SourceFrame&& source_frame) {
  {
    const MutexLock lock(mu_);
    if (is_stopping_) return false;
    is_handing_over_ = true;
  }
  const bool is_going_on = take(std::move(source_frame));
  {
    const MutexLock lock(mu_);
    is_handing_over_ = false;
  }
  stopping_.notify_all();
  return is_going_on;
}

bool CameraSession::take(SourceFrame&& source_frame) {
  if (options_.max_pts_s > 0 && source_frame.pts_s >= options_.max_pts_s) return false;
  ++frames_delivered_;
  is_next_scene_start_ |= source_frame.is_loop_start;
  const bool is_last = options_.max_frames > 0 &&
                       frames_delivered_ - options_.first.frame_index >= options_.max_frames;
  if (!source_frame.is_sampled) {
    ledger_.count_sampled_out();
    return !is_last;
  }
  Frame frame;
  frame.stamp.seq = seq_++;
  frame.stamp.epoch = epoch_;
  frame.stamp.frame_index = frames_before_epoch_ + source_frame.frame_index;
  frame.stamp.file_frame_index = source_frame.file_frame_index;
  frame.stamp.pts_s = source_frame.pts_s;
  frame.stamp.captured_at = options_.is_fast
                                ? options_.run_started_at + from_seconds(source_frame.pts_s)
                                : source_frame.captured_at;
  frame.stamp.captured_mono = source_frame.captured_mono;
  frame.stamp.reorder_delay = source_frame.reorder_delay;
  frame.picture = std::move(source_frame.picture);
  const std::int64_t seq = frame.stamp.seq;
  if (source_frame.is_failed || !frame.picture) {
    ledger_.enter(frame);
    ledger_.settle_none(seq, DropReason::kFailed);
  } else {
    // Boxes known so far are in pixels of the old size.
    const Size size = frame.picture->size;
    is_next_scene_start_ |= std::exchange(picture_size_, size) != size;
    frame.is_stream_start = std::exchange(is_next_stream_start_, false);
    frame.is_scene_start = std::exchange(is_next_scene_start_, false);
    const Duration begin = thread_cpu_time();
    std::shared_ptr<const MotionFrame> motion;
    if (options_.is_motion_wanted) {
      motion = make_motion_frame(*frame.picture, std::move(source_frame.motion));
      thumbnail_ = thumbnail_of(*motion, kThumbnailWidth);
    } else {
      write_thumbnail(*frame.picture, kThumbnailWidth, thumbnail_);
    }
    if (options_.is_scene_wanted) {
      frame.edge_density = edge_density(motion ? motion->luma.front() : thumbnail_);
    }
    watch_picture(frame.is_scene_start);
    ledger_.enter(frame, std::move(motion), thread_cpu_time() - begin + source_frame.motion_cpu);
    scheduler_.offer(options_.camera, std::move(frame));
  }
  return !is_last &&
         (options_.max_answers == 0 || seq_ - options_.first.seq < options_.max_answers);
}

void CameraSession::watch_picture(bool& is_scene_start) {
  const bool is_unchanged =
      thumbnail_.size == previous_thumbnail_.size && thumbnail_.luma == previous_thumbnail_.luma;
  if (!is_scene_start && !is_unchanged && is_scene_cut(previous_thumbnail_, thumbnail_)) {
    is_scene_start = true;
  }
  std::swap(thumbnail_, previous_thumbnail_);
  if (options_.is_fast) return;
  const TimePoint now = clock_.now();
  if (!is_unchanged) {
    if (picture_unchanged_since_ && now - *picture_unchanged_since_ >= options_.frozen_after) {
      spdlog::info("{}: the picture moves again", options_.id);
      set_state(CameraState::kUp);
    }
    picture_unchanged_since_.reset();
  } else if (!picture_unchanged_since_) {
    picture_unchanged_since_ = now;
  } else if (now - *picture_unchanged_since_ >= options_.frozen_after &&
             status().state == CameraState::kUp) {
    spdlog::warn("{}: frozen: the picture has not changed for {:.0f} s", options_.id,
                 to_seconds(options_.frozen_after));
    set_state(CameraState::kFrozen);
  }
}

}  // namespace framemill
