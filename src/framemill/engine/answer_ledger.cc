#include "framemill/engine/answer_ledger.h"

#include <algorithm>
#include <numeric>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// Even-odd rule; points on an edge may fall either way.
bool is_inside(const std::vector<std::array<float, 2>>& polygon, float x, float y) {
  bool inside = false;
  for (std::size_t i = 0, j = polygon.size() - 1; i < polygon.size(); j = i++) {
    const auto& a = polygon[i];
    const auto& b = polygon[j];
    if ((a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]) {
      inside = !inside;
    }
  }
  return inside;
}

}  // namespace

bool CameraCounts::is_conserved() const {
  return captured == std::accumulate(outcomes.begin(), outcomes.end(), in_flight);
}

void CameraCounts::merge(const CameraCounts& other) {
  captured += other.captured;
  for (std::size_t i = 0; i < outcomes.size(); ++i) outcomes[i] += other.outcomes[i];
  in_flight += other.in_flight;
  overdue += other.overdue;
  for (std::size_t i = 0; i < inferences.size(); ++i) inferences[i] += other.inferences[i];
  for (std::size_t i = 0; i < latency.size(); ++i) latency[i].merge(other.latency[i]);
  reorder_sum += other.reorder_sum;
}

AnswerLedger::AnswerLedger(LedgerOptions options, const Clock& clock, Publish publish)
    : options_(std::move(options)),
      clock_(clock),
      publish_(std::move(publish)),
      tracker_(TrackerOptions{}) {}

void AnswerLedger::count_sampled_out() {
  const MutexLock lock(mu_);
  ++counts_.captured;
  ++counts_.outcomes[static_cast<std::size_t>(Outcome::kSampledOut)];
}

void AnswerLedger::enter(const Frame& frame) {
  const MutexLock lock(mu_);
  CHECK(frame.stamp.seq == first_seq_ + static_cast<std::int64_t>(entries_.size()));
  ++counts_.captured;
  ++counts_.in_flight;
  Entry& entry = entries_.emplace_back();
  entry.stamp = frame.stamp;
  entry.is_stream_start = frame.is_stream_start;
  entry.is_scene_start = frame.is_scene_start;
  if (frame.picture) entry.picture_size = frame.picture->size;
  if (options_.snapshot_every > Duration::zero() && frame.picture) {
    const TimePoint now = clock_.now();
    if (!last_snapshot_ || now - *last_snapshot_ >= options_.snapshot_every) {
      last_snapshot_ = now;
      entry.picture = frame.picture;
    }
  }
}

AnswerLedger::Entry& AnswerLedger::entry_of(std::int64_t seq) {
  const std::int64_t place = seq - first_seq_;
  CHECK(place >= 0 && place < static_cast<std::int64_t>(entries_.size()));
  Entry& entry = entries_[static_cast<std::size_t>(place)];
  CHECK(!entry.is_settled);
  entry.is_settled = true;
  return entry;
}

void AnswerLedger::settle_inferred(std::int64_t seq, std::vector<Detection> detections,
                                   std::shared_ptr<const std::string> variant) {
  const MutexLock lock(mu_);
  Entry& entry = entry_of(seq);
  entry.origin = Origin::kInferred;
  entry.detections = std::move(detections);
  entry.variant = std::move(variant);
  ++counts_.inferences[static_cast<std::size_t>(InferencePurpose::kPrimary)];
  publish_settled();
}

void AnswerLedger::settle_reused(std::int64_t seq) {
  const MutexLock lock(mu_);
  entry_of(seq).origin = Origin::kReused;
  publish_settled();
}

void AnswerLedger::settle_none(std::int64_t seq, DropReason reason) {
  const MutexLock lock(mu_);
  entry_of(seq).drop_reason = reason;
  publish_settled();
}

CameraCounts AnswerLedger::counts() const {
  const MutexLock lock(mu_);
  return counts_;
}

void AnswerLedger::publish_settled() {
  while (!entries_.empty() && entries_.front().is_settled) {
    publish(entries_.front());
    entries_.pop_front();
    ++first_seq_;
  }
}

void AnswerLedger::keep_wanted(std::vector<Detection>& detections, Size picture) const {
  if (options_.is_class_wanted.empty() && options_.mask.empty()) return;
  std::erase_if(detections, [&](const Detection& detection) {
    const auto class_id = static_cast<std::size_t>(detection.class_id);
    if (!options_.is_class_wanted.empty() &&
        (class_id >= options_.is_class_wanted.size() || !options_.is_class_wanted[class_id])) {
      return true;
    }
    const float x = (detection.box.x1 + detection.box.x2) / 2 / static_cast<float>(picture.width);
    const float y = (detection.box.y1 + detection.box.y2) / 2 / static_cast<float>(picture.height);
    return std::ranges::any_of(options_.mask,
                               [&](const auto& polygon) { return is_inside(polygon, x, y); });
  });
}

void AnswerLedger::publish(Entry& entry) {
  if (entry.is_stream_start || entry.is_scene_start) tracker_.reset();
  if (entry.is_stream_start) has_state_ = false;
  if (entry.origin == Origin::kInferred) {
    keep_wanted(entry.detections, entry.picture_size);
    tracker_.update(entry.stamp.pts_s, entry.detections);
    state_ = std::move(entry.detections);
    state_frame_index_ = entry.stamp.frame_index;
    state_variant_ = entry.variant;
    has_state_ = true;
  } else if (entry.origin == Origin::kReused && !has_state_) {
    entry.origin = Origin::kNone;
    entry.drop_reason = DropReason::kLate;
  }

  Answer answer;
  answer.camera = options_.camera;
  answer.stamp = entry.stamp;
  answer.picture_size = entry.picture_size;
  answer.origin = entry.origin;
  answer.drop_reason = entry.drop_reason;
  answer.slo = options_.slo;
  answer.model = options_.model;
  answer.picture = std::move(entry.picture);
  if (entry.origin != Origin::kNone) {
    answer.source_frame_index = state_frame_index_;
    answer.variant = state_variant_;
    std::ranges::copy_if(state_, std::back_inserter(answer.detections),
                         [&](const Detection& d) { return d.score >= options_.score; });
  }
  if (options_.has_latency) {
    const Duration latency = clock_.now() - entry.stamp.captured_mono;
    answer.latency = latency;
    answer.is_on_time = entry.origin != Origin::kNone && latency <= options_.slo;
  }

  --counts_.in_flight;
  ++counts_.outcomes[static_cast<std::size_t>(outcome_of(answer.origin, answer.drop_reason))];
  if (answer.origin != Origin::kNone) {
    if (!answer.is_on_time) ++counts_.overdue;
    if (answer.latency) {
      counts_.latency[static_cast<std::size_t>(answer.origin)].record(*answer.latency);
    }
    counts_.reorder_sum += entry.stamp.reorder_delay;
  }
  publish_(std::move(answer));
}

}  // namespace framemill
