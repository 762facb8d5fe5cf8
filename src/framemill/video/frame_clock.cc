#include "framemill/video/frame_clock.h"

#include <algorithm>

namespace framemill {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kDefaultInterval = milliseconds(40);
constexpr Duration kForwardJump = seconds(10);
constexpr Duration kNudge = std::chrono::microseconds(1);
constexpr Duration kSpeedWindow = seconds(3);
constexpr int kWindowsWrongMax = 2;
constexpr std::int64_t kQuickJump = 10;  // frames behind the last one
constexpr int kQuickJumpsMax = 5;

}  // namespace

Duration FrameClock::interval() const {
  constexpr std::int64_t kFramesMin = 3;
  if (newest_ && round_frames_ >= kFramesMin && *newest_ > round_begin_)
    return (*newest_ - round_begin_) / (round_frames_ - 1);
  return announced_interval();
}

Duration FrameClock::announced_interval() const {
  return interval_ > Duration::zero() ? interval_ : kDefaultInterval;
}

void FrameClock::begin_round() { is_round_new_ = true; }

FrameClock::Place FrameClock::place(const PacketTimes& times, TimePoint arrival,
                                    std::optional<Duration> floor) {
  Place place;
  const Duration gap = last_arrival_ ? arrival - *last_arrival_ : Duration::zero();
  last_arrival_ = arrival;
  // FFmpeg leaves the first packet of an RTSP session without a time stamp; it is a key frame, and
  // nothing comes before it.
  place.is_order_known = (times.pts.has_value() || !newest_) && !is_by_arrival_ && !is_by_count_;
  const std::optional<Duration> stamp = times.pts ? times.pts : times.dts;

  const auto next = [this] { return newest_ ? *newest_ + interval() : Duration::zero(); };
  if (is_by_arrival_ || (!stamp && kind_ == Kind::kLive)) {
    if (newest_) place.pts = *newest_ + std::max(gap, kNudge);
  } else if (!stamp || is_by_count_) {
    place.pts = newest_ ? *newest_ + announced_interval() : Duration::zero();
  } else {
    const Duration most = newest_
                              ? *newest_ + kForwardJump + (kind_ == Kind::kLive ? gap : Duration{})
                              : Duration::max();
    if (is_round_new_) {
      offset_ = next() - *stamp;
    } else if ((floor && *stamp + offset_ < *floor) || *stamp + offset_ > most) {
      place.is_jump = true;
      offset_ = next() - *stamp;
    }
    place.pts = *stamp + offset_;
    if (floor && place.pts == *floor) place.pts += kNudge;
    if (kind_ == Kind::kLive && !is_speed_credible(place.pts, arrival)) is_by_arrival_ = true;
  }

  note_jump(place);
  if (is_round_new_ || place.is_jump || !newest_) {
    round_frames_ = 0;
    round_begin_ = place.pts;
  }
  is_round_new_ = false;
  ++round_frames_;
  newest_ = std::max(newest_.value_or(place.pts), place.pts);
  const Duration dts =
      times.dts && stamp && !is_by_arrival_ && !is_by_count_ ? *times.dts + offset_ : place.pts;
  decode_time_ = std::max(decode_time_, std::min(dts, place.pts));
  place.decode_time = decode_time_;
  return place;
}

void FrameClock::note_jump(Place& place) {
  ++since_jump_;
  if (!place.is_jump) return;
  if (since_jump_ < kQuickJump) {
    // Each jump starts the sampling grid anew; a jump at every frame would have every frame
    // sampled.
    place.is_jump = false;
    if (++quick_jumps_ >= kQuickJumpsMax)
      (kind_ == Kind::kLive ? is_by_arrival_ : is_by_count_) = true;
  }
  since_jump_ = 0;
}

bool FrameClock::is_speed_credible(Duration pts, TimePoint arrival) {
  if (!window_begin_) {
    window_begin_ = arrival;
    window_pts_ = pts;
  }
  const Duration elapsed = arrival - *window_begin_;
  if (elapsed < kSpeedWindow) return true;
  const Duration told = pts - window_pts_;
  const bool is_wrong = told < elapsed / 2 || told > 2 * elapsed;
  windows_wrong_ = is_wrong ? windows_wrong_ + 1 : 0;
  window_begin_ = arrival;
  window_pts_ = pts;
  return windows_wrong_ < kWindowsWrongMax;
}

}  // namespace framemill
