#include "framemill/vision/object_state.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// Overlap from which on a new detection is the object that was carried there.
constexpr float kSameObjectIou = .3F;

/// The chance that a consumer sees an object of this score: candidates count little.
double visibility(float score) {
  return std::clamp((static_cast<double>(score) - .1) / .3, 0.0, 1.0);
}

/// A detection of a higher score is taken for certain.
constexpr float kSureScore = .5F;
/// What the model says on the next frames of an object that it sees for the first time and is sure
/// of, as a share of its first score, in the mean: many are gone at the next look.
constexpr float kTrustInNew = .85F;
/// Share of its old score in the score an object is carried with.
constexpr float kMemory = .3F;

/// Each detection of `carried` that continues one of `before`, best overlap first, takes a share of
/// its score over: memory keeps an object in view, but only a sure look makes it sure. What
/// continues nothing is hardly sure yet.
void remember_scores(std::span<const Detection> before, std::vector<Detection>& carried) {
  struct Pair {
    float overlap;
    std::size_t old_index, new_index;
  };
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < before.size(); ++i) {
    for (std::size_t j = 0; j < carried.size(); ++j) {
      if (before[i].class_id != carried[j].class_id) continue;
      const float overlap = iou(before[i].box, carried[j].box);
      if (overlap >= kSameObjectIou) pairs.push_back({overlap, i, j});
    }
  }
  std::ranges::stable_sort(pairs, std::greater<>{}, &Pair::overlap);
  std::vector<bool> is_old_used(before.size()), is_new_used(carried.size());
  for (const Pair& pair : pairs) {
    if (is_old_used[pair.old_index] || is_new_used[pair.new_index]) continue;
    is_old_used[pair.old_index] = is_new_used[pair.new_index] = true;
    float& score = carried[pair.new_index].score;
    const float blended = score + kMemory * (before[pair.old_index].score - score);
    score = score > kSureScore ? blended : std::min(blended, kSureScore);
  }
  for (std::size_t i = 0; i < carried.size(); ++i) {
    float& score = carried[i].score;
    if (!is_new_used[i] && score > kSureScore) score = std::max(kTrustInNew * score, kSureScore);
  }
}

constexpr double kRingFramesMin = 8;

}  // namespace

std::size_t ring_frames_for(Duration latest, double rate_hz) {
  const double frames = std::ceil(to_seconds(latest) * rate_hz - 1e-6) + 1;
  return static_cast<std::size_t>(
      std::clamp(frames, kRingFramesMin, static_cast<double>(kRingFramesMax)));
}

ObjectState::ObjectState(ObjectStateOptions options)
    : options_(options), propagator_(options.motion), tracker_(TrackerOptions{}) {
  CHECK(options.ring_frames >= 1 && options.ring_frames <= kRingFramesMax);
}

void ObjectState::begin_scene() {
  tracker_.reset();
  has_key_ = false;
  objects_.clear();
  drifts_.clear();
  doubt_ = {};
  ring_.clear();
}

void ObjectState::carry(const Moment& from, const Moment& to, std::vector<Detection>& objects,
                        std::vector<float>& drifts, ObjectDoubt& doubt) {
  ++doubt.age;
  if (from.frame == nullptr || to.frame == nullptr || from.frame == to.frame) return;
  propagator_.propagate(*from.frame, *to.frame, objects, step_);
  doubt.unexplained += step_.unexplained;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (area(objects[i].box) <= 0) continue;
    drifts[kept] = drifts[i] + step_.boxes[i].drift;
    objects[kept] = objects[i];
    ++kept;
  }
  objects.resize(kept);
  drifts.resize(kept);
  doubt.objects = 0;
  doubt.drift = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    const double weight = visibility(objects[i].score);
    doubt.objects += weight;
    doubt.drift += weight * std::min(1.0F, drifts[i]);
  }
}

void ObjectState::advance(double time_s, std::shared_ptr<const MotionFrame> frame) {
  Moment next;
  next.time_s = time_s;
  next.frame = std::move(frame);
  if (!ring_.empty()) {
    if (next.frame == nullptr) next.frame = ring_.back().frame;
    carry(ring_.back(), next, objects_, drifts_, doubt_);
  }
  next.objects = objects_;
  next.doubt = doubt_;
  next.has_key = has_key_;
  ring_.push_back(std::move(next));
  while (ring_.size() > options_.ring_frames) ring_.pop_front();
}

std::optional<Correction> ObjectState::correct(std::size_t frames_ago,
                                               std::vector<Detection>& found) {
  if (frames_ago >= ring_.size()) return std::nullopt;
  const std::size_t place = ring_.size() - 1 - frames_ago;
  Correction correction;
  correction.doubt = ring_[place].doubt;
  correction.counts = count_agreement(found, ring_[place].objects);
  if (has_key_ && static_cast<std::int64_t>(frames_ago) > doubt_.age) return correction;
  correction.is_state_changed = true;
  // From one frame to the next the tracker needs no help, and gives the ids that it gives when all
  // frames are inferred.
  if (ring_[place].has_key && ring_[place].doubt.age > 1) {
    tracker_.follow(ring_[place].time_s, ring_[place].objects);
  }
  tracker_.update(ring_[place].time_s, found);
  std::vector<Detection> objects = found;
  if (ring_[place].has_key && options_.are_scores_remembered) {
    remember_scores(ring_[place].objects, objects);
    std::ranges::stable_sort(objects, std::greater<>{}, &Detection::score);
  }
  std::vector<float> drifts(objects.size(), 0.0F);
  ObjectDoubt doubt;
  for (const Detection& object : objects) doubt.objects += visibility(object.score);
  for (std::size_t i = place;; ++i) {
    ring_[i].objects = objects;
    ring_[i].doubt = doubt;
    ring_[i].has_key = true;
    if (i + 1 == ring_.size()) break;
    carry(ring_[i], ring_[i + 1], objects, drifts, doubt);
  }
  objects_ = std::move(objects);
  drifts_ = std::move(drifts);
  doubt_ = doubt;
  has_key_ = true;
  return correction;
}

}  // namespace framemill
