#include "framemill/vision/tracker.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "framemill/vision/tracker_assignment.h"

// A track is four Kalman filters of two states each (place, speed): centre x, centre y, width,
// height. ByteTrack's own state has aspect and height in place of width and height; then half of a
// person behind a table changes two coordinates, and the width wobbles with the height. With width
// and height the coordinates are independent, so the 8x8 filter falls apart into 2x2 ones of a few
// multiplications. Noise is in units of the object's size, as there, but per second instead of per
// frame: frames come at 2 Hz and at 30 Hz, and an adaptive policy skips some.
//
// Association goes from sure to unsure, each step over what the one before left:
//   1. sure detections with all tracks, by IoU with the predicted box;
//   2. unsure detections with all tracks by IoU: these carry a track through a wavering score;
//   3. sure detections with tracks by distance in units of the filter's own doubt: an object seen
//   once has
//      no speed yet, and at 10 Hz a car may leave its own box behind between two frames.
namespace framemill {
namespace {

// In object sizes (geometric mean of the sides), and seconds.
constexpr double kPlaceNoise = 0.05;       // of a detected centre
constexpr double kSideNoise = 0.08;        // of a detected side, relative to that side
constexpr double kSpeedPrior = 4.0;        // a walker does 1.6 a second, a car on a motorway 8
constexpr double kSidePrior = 0.5;         // relative growth a second, before any is seen
constexpr double kAcceleration = 1.5;      // per square root of a second
constexpr double kSideAcceleration = 0.3;  // likewise, relative to the side
constexpr double kSideLeast = 1.0;         // pixel
constexpr double kDoubtMax = 9.21;         // squared; holds 99 % in two dimensions
constexpr double kReachMax = 2.0;          // sizes between prediction and detection in step 3
constexpr double kSideRatioMax = 1.6;      // between the sides of track and detection in step 3
constexpr double kLostIouMin = 0.4;        // an unsure detection needs it to wake a lost track
constexpr double kKnownBonus = 0.1;        // IoU; a track of some age wins over its own double
constexpr int kKnownHits = 3;
constexpr double kOnceSeenShare = 0.25;  // of lost_after_s, for tracks seen only once

/// Constant speed along one coordinate.
class AxisFilter {
 public:
  AxisFilter(double value, double noise, double speed_prior)
      : value_(value), var_(noise * noise), speed_var_(speed_prior * speed_prior) {}

  /// `acceleration`: white noise on the speed, per square root of a second.
  void predict(double dt, double acceleration) {
    const double density = acceleration * acceleration;
    value_ += speed_ * dt;
    var_ += dt * (2 * covar_ + dt * speed_var_) + density * dt * dt * dt / 3;
    covar_ += dt * speed_var_ + density * dt * dt / 2;
    speed_var_ += density * dt;
  }
  void correct(double measured, double noise) {
    const double total = var_ + noise * noise;
    const double gain = var_ / total;
    const double speed_gain = covar_ / total;
    const double surprise = measured - value_;
    value_ += gain * surprise;
    speed_ += speed_gain * surprise;
    speed_var_ -= speed_gain * covar_;
    covar_ *= 1 - gain;
    var_ *= 1 - gain;
  }
  void stop() { speed_ = 0; }
  void keep_above(double least) { value_ = std::max(value_, least); }
  [[nodiscard]] double value() const { return value_; }
  [[nodiscard]] double variance() const { return var_; }

 private:
  double value_;
  double speed_ = 0;
  double var_;  // of the value
  double covar_ = 0;
  double speed_var_;
};

/// A detected box as the filters want it.
struct Measured {
  double x, y, width, height, size;
};
Measured measure(const Box& box) {
  const double width = std::max<double>(box.x2 - box.x1, kSideLeast);
  const double height = std::max<double>(box.y2 - box.y1, kSideLeast);
  return {(static_cast<double>(box.x1) + box.x2) / 2, (static_cast<double>(box.y1) + box.y2) / 2,
          width, height, std::sqrt(width * height)};
}

class Track {
 public:
  Track(std::int64_t id, int class_id, const Measured& seen, double time_s)
      : id_(id),
        class_id_(class_id),
        last_seen_s_(time_s),
        x_(seen.x, kPlaceNoise * seen.size, kSpeedPrior * seen.size),
        y_(seen.y, kPlaceNoise * seen.size, kSpeedPrior * seen.size),
        width_(seen.width, kSideNoise * seen.width, kSidePrior * seen.width),
        height_(seen.height, kSideNoise * seen.height, kSidePrior * seen.height) {}

  void predict(double dt) {
    // Growth carried on without being seen would make the box explode or vanish.
    if (is_lost_) {
      width_.stop();
      height_.stop();
    }
    is_lost_ = true;  // until correct()
    x_.predict(dt, kAcceleration * size());
    y_.predict(dt, kAcceleration * size());
    width_.predict(dt, kSideAcceleration * width_.value());
    height_.predict(dt, kSideAcceleration * height_.value());
    width_.keep_above(kSideLeast);
    height_.keep_above(kSideLeast);
  }
  void correct(const Measured& seen, double time_s) {
    x_.correct(seen.x, kPlaceNoise * seen.size);
    y_.correct(seen.y, kPlaceNoise * seen.size);
    width_.correct(seen.width, kSideNoise * seen.width);
    height_.correct(seen.height, kSideNoise * seen.height);
    last_seen_s_ = time_s;
    is_lost_ = false;
    ++hit_count_;
  }

  [[nodiscard]] std::int64_t id() const { return id_; }
  [[nodiscard]] int class_id() const { return class_id_; }
  [[nodiscard]] int hit_count() const { return hit_count_; }
  [[nodiscard]] double last_seen_s() const { return last_seen_s_; }
  [[nodiscard]] double size() const { return std::sqrt(width_.value() * height_.value()); }
  [[nodiscard]] Box box() const {
    return {static_cast<float>(x_.value() - width_.value() / 2),
            static_cast<float>(y_.value() - height_.value() / 2),
            static_cast<float>(x_.value() + width_.value() / 2),
            static_cast<float>(y_.value() + height_.value() / 2)};
  }
  /// Squared distance in units of the doubt about both; more than kDoubtMax if the sides differ or
  /// it is too far anyway.
  [[nodiscard]] double doubt(const Measured& seen) const {
    constexpr double kImpossible = 2 * kDoubtMax;
    const auto ratio = [](double a, double b) { return std::max(a, b) / std::min(a, b); };
    if (ratio(width_.value(), seen.width) > kSideRatioMax) return kImpossible;
    if (ratio(height_.value(), seen.height) > kSideRatioMax) return kImpossible;
    const double dx = seen.x - x_.value();
    const double dy = seen.y - y_.value();
    const double reach = kReachMax * size();
    if (dx * dx + dy * dy > reach * reach) return kImpossible;
    const double noise = kPlaceNoise * kPlaceNoise * seen.size * seen.size;
    return dx * dx / (x_.variance() + noise) + dy * dy / (y_.variance() + noise);
  }

 private:
  std::int64_t id_;
  int class_id_;
  int hit_count_ = 1;
  bool is_lost_ = false;
  double last_seen_s_;
  AxisFilter x_, y_, width_, height_;
};

bool is_usable(const Detection& d) {
  constexpr float kFar = 1e7F;  // pixels; beyond it squares lose their meaning
  const auto is_near = [](float v) { return std::abs(v) < kFar; };  // false for NaN
  return is_near(d.box.x1) && is_near(d.box.y1) && is_near(d.box.x2) && is_near(d.box.y2) &&
         d.box.x2 > d.box.x1 && d.box.y2 > d.box.y1;
}

}  // namespace

struct Tracker::State {
  TrackerOptions options;
  std::vector<Track> tracks;
  double time_s = 0;
  std::int64_t next_id = 1;

  /// A frame's detections while they find their tracks.
  struct Frame {
    double time_s;
    double previous_s;
    std::vector<Detection>& detections;
    std::vector<Measured> measured;    // like detections
    std::vector<Box> boxes;            // predicted, like tracks
    std::vector<bool> is_track_taken;  // like tracks
  };

  void match_by_iou(Frame& frame, std::span<const std::uint32_t> candidates, bool is_sure) {
    std::vector<PossibleMatch> possible;
    for (std::uint32_t t = 0; t < tracks.size(); ++t) {
      if (frame.is_track_taken[t]) continue;
      const Track& track = tracks[t];
      const bool is_lost = track.last_seen_s() < frame.previous_s;
      const double iou_min =
          !is_sure && is_lost ? std::max<double>(options.iou_min, kLostIouMin) : options.iou_min;
      const double bonus = track.hit_count() >= kKnownHits ? kKnownBonus : 0.0;
      for (const std::uint32_t d : candidates) {
        const Detection& detection = frame.detections[d];
        if (detection.track >= 0 || detection.class_id != track.class_id()) continue;
        const double overlap = iou(frame.boxes[t], detection.box);
        if (overlap > 0 && overlap >= iou_min)
          possible.push_back({t, d, overlap - iou_min + bonus + 1e-6});
      }
    }
    take(frame, possible);
  }

  void match_by_distance(Frame& frame, std::span<const std::uint32_t> candidates) {
    std::vector<PossibleMatch> possible;
    for (std::uint32_t t = 0; t < tracks.size(); ++t) {
      if (frame.is_track_taken[t]) continue;
      for (const std::uint32_t d : candidates) {
        const Detection& detection = frame.detections[d];
        if (detection.track >= 0 || detection.class_id != tracks[t].class_id()) continue;
        possible.push_back({t, d, kDoubtMax - tracks[t].doubt(frame.measured[d])});
      }
    }
    take(frame, possible);
  }

  void take(Frame& frame, std::span<const PossibleMatch> possible) {
    for (const PossibleMatch& match : assign_best(possible)) {
      tracks[match.row].correct(frame.measured[match.column], frame.time_s);
      frame.detections[match.column].track = tracks[match.row].id();
      frame.is_track_taken[match.row] = true;
    }
  }

  void advance_to(double now_s, std::span<const Detection> carried = {}) {
    std::erase_if(tracks, [&](const Track& track) {
      if (std::ranges::find(carried, track.id(), &Detection::track) != carried.end()) return false;
      const double share = track.hit_count() == 1 ? kOnceSeenShare : 1.0;
      return now_s - track.last_seen_s() > share * options.lost_after_s;
    });
    for (Track& track : tracks) track.predict(now_s - time_s);
    time_s = now_s;
  }
};

Tracker::Tracker(TrackerOptions options) : state_(std::make_unique<State>()) {
  state_->options = options;
}
Tracker::~Tracker() = default;
Tracker::Tracker(Tracker&&) noexcept = default;
Tracker& Tracker::operator=(Tracker&&) noexcept = default;

void Tracker::update(double time_s, std::vector<Detection>& detections) {
  State& state = *state_;
  const double previous_s = state.time_s;
  if (!std::isfinite(time_s) || time_s < previous_s) {
    reset();
    if (std::isfinite(time_s)) state.time_s = time_s;
  } else {
    state.advance_to(time_s);
  }

  State::Frame frame{.time_s = state.time_s, .previous_s = previous_s, .detections = detections};
  std::vector<std::uint32_t> sure, unsure;
  for (std::uint32_t d = 0; d < detections.size(); ++d) {
    Detection& detection = detections[d];
    detection.track = -1;
    frame.measured.push_back(is_usable(detection) ? measure(detection.box) : Measured{});
    if (!is_usable(detection)) continue;
    if (detection.score >= state.options.score_high)
      sure.push_back(d);
    else if (detection.score >= state.options.score_low)
      unsure.push_back(d);
  }
  for (const Track& track : state.tracks) frame.boxes.push_back(track.box());
  frame.is_track_taken.resize(state.tracks.size(), false);

  state.match_by_iou(frame, sure, true);
  state.match_by_iou(frame, unsure, false);
  state.match_by_distance(frame, sure);
  for (const std::uint32_t d : sure) {
    if (detections[d].track >= 0) continue;
    detections[d].track = state.next_id++;
    state.tracks.emplace_back(detections[d].track, detections[d].class_id, frame.measured[d],
                              frame.time_s);
  }
}

void Tracker::follow(double time_s, std::span<const Detection> carried) {
  State& state = *state_;
  if (!std::isfinite(time_s) || time_s < state.time_s) return;
  state.advance_to(time_s, carried);
  for (Track& track : state.tracks) {
    const auto found = std::ranges::find(carried, track.id(), &Detection::track);
    if (found != carried.end() && is_usable(*found)) track.correct(measure(found->box), time_s);
  }
}

void Tracker::reset() { state_->tracks.clear(); }

}  // namespace framemill
