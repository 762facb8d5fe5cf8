#include "framemill/engine/answer_ledger.h"

#include <algorithm>
#include <numeric>

#include "framemill/base/check.h"
#include "framemill/base/cpu_time.h"

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

double luma_variance(const Thumbnail& thumbnail) {
  std::int64_t sum = 0;
  std::int64_t squares = 0;
  for (const std::uint8_t luma : thumbnail.luma) {
    sum += luma;
    squares += std::int64_t{luma} * luma;
  }
  const auto count = static_cast<double>(std::max<std::size_t>(1, thumbnail.luma.size()));
  const double mean = static_cast<double>(sum) / count;
  return static_cast<double>(squares) / count - mean * mean;
}

ObjectStateOptions state_options(const LedgerOptions& options, std::size_t ring_frames) {
  if (options.policy != PolicyKind::kAdaptive) {
    return {.motion = options.motion, .ring_frames = 1, .are_scores_remembered = false};
  }
  return {.motion = options.motion, .ring_frames = ring_frames};
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
  motion_cpu += other.motion_cpu;
}

AnswerLedger::AnswerLedger(LedgerOptions options, const Clock& clock, Publish publish)
    : options_(std::move(options)),
      clock_(clock),
      publish_(std::move(publish)),
      ring_frames_(options_.ring_frames),
      first_seq_(options_.first_seq),
      counts_(std::make_unique<CameraCounts>()),
      frames_(std::make_unique<Frames>(state_options(options_, ring_frames_))),
      reached_seq_(first_seq_ - 1),
      scene_seq_(first_seq_) {}

void AnswerLedger::set_ring_frames(std::size_t frames) {
  const MutexLock lock(mu_);
  CHECK(counts_->captured == 0);
  ring_frames_ = frames;
  frames_ = std::make_unique<Frames>(state_options(options_, frames));
}

void AnswerLedger::count_sampled_out() {
  const MutexLock lock(mu_);
  ++counts_->captured;
  ++counts_->outcomes[static_cast<std::size_t>(Outcome::kSampledOut)];
}

void AnswerLedger::enter(const Frame& frame, std::shared_ptr<const MotionFrame> motion,
                         Duration motion_cpu) {
  const MutexLock lock(mu_);
  CHECK(frame.stamp.seq == first_seq_ + static_cast<std::int64_t>(frames_->entries.size()));
  ++counts_->captured;
  ++counts_->in_flight;
  counts_->motion_cpu += motion_cpu;
  Entry& entry = frames_->entries.emplace_back();
  entry.stamp = frame.stamp;
  entry.is_stream_start = frame.is_stream_start;
  entry.is_scene_start = frame.is_scene_start;
  entry.motion = std::move(motion);
  if (frame.picture) entry.picture_size = frame.picture->size;
  if (!frame.picture) return;
  if (options_.snapshot_every > Duration::zero()) {
    const Duration at = capture_time(frame.stamp);
    if (!last_snapshot_ || at < *last_snapshot_ ||  // where timestamps begin anew
        at - *last_snapshot_ >= options_.snapshot_every) {
      last_snapshot_ = at;
      entry.is_snapshot_due = true;
    }
  }
  const bool is_wanted = is_picture_wanted_.exchange(false);
  if (is_wanted || entry.is_snapshot_due || options_.has_pictures) entry.picture = frame.picture;
}

Duration AnswerLedger::capture_time(const FrameStamp& stamp) const {
  return options_.has_latency ? stamp.captured_mono.time_since_epoch() : from_seconds(stamp.pts_s);
}

bool AnswerLedger::is_open(std::int64_t seq) const {
  if (!frames_) return false;
  const std::int64_t place = seq - first_seq_;
  CHECK(place < static_cast<std::int64_t>(frames_->entries.size()));
  return place >= 0 && !frames_->entries[static_cast<std::size_t>(place)].is_settled;
}

AnswerLedger::Entry& AnswerLedger::entry_of(std::int64_t seq) {
  CHECK(is_open(seq));
  return frames_->entries[static_cast<std::size_t>(seq - first_seq_)];
}

AnswerLedger::Entry& AnswerLedger::settle(std::int64_t seq) {
  Entry& entry = entry_of(seq);
  entry.is_settled = true;
  return entry;
}

std::optional<FrameOutlook> AnswerLedger::look(std::int64_t seq) {
  const MutexLock lock(mu_);
  if (seq != first_seq_ || !is_open(seq)) return std::nullopt;
  reach(frames_->entries.front());
  return FrameOutlook{.has_key = frames_->state.has_key(), .doubt = frames_->state.doubt()};
}

double AnswerLedger::similarity(std::int64_t seq) const {
  const MutexLock lock(mu_);
  CHECK(is_open(seq));
  const Entry& entry = frames_->entries[static_cast<std::size_t>(seq - first_seq_)];
  if (last_sent_ == nullptr || entry.motion == nullptr) return 0;
  return 1 - mean_absolute_difference(last_sent_->luma.front(), entry.motion->luma.front()) / 255;
}

double AnswerLedger::complexity(std::int64_t seq) const {
  const MutexLock lock(mu_);
  CHECK(is_open(seq));
  const Entry& entry = frames_->entries[static_cast<std::size_t>(seq - first_seq_)];
  return entry.motion == nullptr ? 0 : luma_variance(entry.motion->luma.front()) / 255;
}

void AnswerLedger::note_sent(std::int64_t seq) {
  const MutexLock lock(mu_);
  last_sent_ = entry_of(seq).motion;
}

std::optional<Correction> AnswerLedger::settle_inferred(std::int64_t seq,
                                                        std::vector<Detection> detections,
                                                        std::shared_ptr<const std::string> variant,
                                                        InferencePurpose purpose,
                                                        std::uint32_t rung, bool keep_for_audit) {
  const MutexLock lock(mu_);
  if (!counts_) return std::nullopt;
  if (!is_open(seq)) {
    // It has been answered from the state meanwhile.
    std::optional<Correction> correction = correct(seq, detections);
    if (correction && correction->is_state_changed) {
      key_variant_ = std::move(variant);
      key_rung_ = rung;
    }
    if (!correction) purpose = InferencePurpose::kDiscarded;
    ++counts_->inferences[static_cast<std::size_t>(purpose)];
    return correction;
  }
  ++counts_->inferences[static_cast<std::size_t>(purpose)];
  Entry& entry = settle(seq);
  entry.origin = Origin::kInferred;
  entry.detections = std::move(detections);
  entry.variant = std::move(variant);
  entry.rung = rung;
  entry.is_audited = keep_for_audit;
  return publish_settled();
}

void AnswerLedger::settle_carried(std::int64_t seq, bool keep_for_audit) {
  const MutexLock lock(mu_);
  if (!is_open(seq)) return;
  Entry& entry = settle(seq);
  entry.origin = options_.policy == PolicyKind::kAdaptive ? Origin::kPropagated : Origin::kReused;
  entry.is_audited = keep_for_audit;
  publish_settled();
}

std::optional<AgreementCounts> AnswerLedger::settle_audit(
    std::int64_t seq, std::vector<Detection> detections,
    std::shared_ptr<const std::string> variant) {
  const MutexLock lock(mu_);
  if (!counts_) return std::nullopt;
  ++counts_->inferences[static_cast<std::size_t>(InferencePurpose::kAudit)];
  const auto answered = audited_.find(seq);
  if (answered == audited_.end()) return std::nullopt;
  keep_wanted(detections, scene_size_);
  const AgreementCounts counts = count_agreement(detections, answered->second);
  audited_.erase(answered);
  const std::optional<Correction> correction = correct(seq, detections);
  if (correction && correction->is_state_changed && variant != nullptr) {
    key_variant_ = std::move(variant);
    key_rung_ = 0;
  }
  return counts;
}

void AnswerLedger::drop_audit(std::int64_t seq) {
  const MutexLock lock(mu_);
  audited_.erase(seq);
  const std::int64_t place = seq - first_seq_;
  if (!frames_ || place < 0 || place >= static_cast<std::int64_t>(frames_->entries.size())) return;
  frames_->entries[static_cast<std::size_t>(place)].is_audited = false;
}

void AnswerLedger::settle_none(std::int64_t seq, DropReason reason) {
  const MutexLock lock(mu_);
  if (is_closed_) return;
  settle(seq).drop_reason = reason;
  publish_settled();
}

void AnswerLedger::close() {
  const MutexLock lock(mu_);
  if (is_closed_ || !frames_) return;
  is_closed_ = true;
  for (Entry& entry : frames_->entries) {
    if (entry.is_settled) continue;
    entry.is_settled = true;
    entry.drop_reason = DropReason::kLate;
  }
  publish_settled();
}

CameraCounts AnswerLedger::counts() const {
  const MutexLock lock(mu_);
  return counts_ ? *counts_ : CameraCounts{};
}

std::unique_ptr<CameraCounts> AnswerLedger::retire() {
  const MutexLock lock(mu_);
  if (!frames_ || !frames_->entries.empty()) return nullptr;
  frames_.reset();
  audited_.clear();
  last_sent_.reset();
  return std::move(counts_);
}

void AnswerLedger::reach(Entry& entry) {
  if (entry.is_reached) return;
  entry.is_reached = true;
  if (entry.is_stream_start) has_answer_ = false;
  const bool is_resized = entry.picture_size.width > 0 && entry.picture_size != scene_size_;
  if (entry.is_stream_start || entry.is_scene_start || is_resized) {
    frames_->state.begin_scene();
    scene_seq_ = entry.stamp.seq;
    frames_->recent.clear();
  }
  if (entry.picture_size.width > 0) scene_size_ = entry.picture_size;
  // Policies that compare pictures bring motion frames, too; their boxes stay where they are.
  const bool is_moving = options_.policy == PolicyKind::kAdaptive;
  const Duration begin = thread_cpu_time();
  frames_->state.advance(entry.stamp.pts_s, is_moving ? entry.motion : nullptr);
  if (is_moving) counts_->motion_cpu += thread_cpu_time() - begin;
  reached_seq_ = entry.stamp.seq;
  frames_->recent.emplace_back(entry.stamp.seq, entry.stamp.frame_index);
  while (frames_->recent.size() > ring_frames_) frames_->recent.pop_front();
}

std::optional<Correction> AnswerLedger::correct(std::int64_t seq,
                                                std::vector<Detection>& detections) {
  if (seq < scene_seq_) return std::nullopt;
  keep_wanted(detections, scene_size_);
  const auto frames_ago = static_cast<std::size_t>(reached_seq_ - seq);
  Duration catch_up{0};
  std::optional<Correction> correction;
  {
    const CpuSpan span(catch_up);
    correction = frames_->state.correct(frames_ago, detections);
  }
  if (frames_ago > 0) counts_->motion_cpu += catch_up;  // else nothing was carried on
  if (!correction || !correction->is_state_changed) return correction;
  const auto frame =
      std::ranges::find(frames_->recent, seq, &std::pair<std::int64_t, std::int64_t>::first);
  CHECK(frame != frames_->recent.end());
  key_frame_index_ = frame->second;
  has_answer_ = true;
  return correction;
}

std::optional<Correction> AnswerLedger::publish_settled() {
  std::optional<Correction> correction;
  while (!frames_->entries.empty() && frames_->entries.front().is_settled) {
    if (std::optional<Correction> c = publish(frames_->entries.front())) correction = c;
    frames_->entries.pop_front();
    ++first_seq_;
  }
  return correction;
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

std::optional<Correction> AnswerLedger::publish(Entry& entry) {
  reach(entry);
  std::optional<Correction> correction;
  if (entry.origin == Origin::kInferred) {
    correction = correct(entry.stamp.seq, entry.detections);
    key_variant_ = entry.variant;
    key_rung_ = entry.rung;
  } else if (entry.origin != Origin::kNone && !has_answer_) {
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
  answer.is_snapshot_due = entry.is_snapshot_due;
  if (entry.is_snapshot_due && entry.origin == Origin::kNone) last_snapshot_.reset();  // the next
  if (entry.origin != Origin::kNone) {
    answer.source_frame_index = key_frame_index_;
    answer.variant = key_variant_;
    answer.rung = key_rung_;
    const std::vector<Detection>& detections =
        entry.origin == Origin::kInferred ? entry.detections : frames_->state.objects();
    std::ranges::copy_if(detections, std::back_inserter(answer.detections),
                         [&](const Detection& d) { return d.score >= options_.score; });
    std::ranges::stable_sort(answer.detections, std::greater<>{}, &Detection::score);
    if (entry.is_audited) audited_[entry.stamp.seq] = answer.detections;
  }
  if (options_.has_latency) {
    const Duration latency = clock_.now() - entry.stamp.captured_mono;
    answer.latency = latency;
    answer.is_on_time = entry.origin != Origin::kNone && latency <= options_.slo;
  }

  --counts_->in_flight;
  ++counts_->outcomes[static_cast<std::size_t>(outcome_of(answer.origin, answer.drop_reason))];
  if (answer.origin != Origin::kNone) {
    if (!answer.is_on_time) ++counts_->overdue;
    if (answer.latency) {
      counts_->latency[static_cast<std::size_t>(answer.origin)].record(*answer.latency);
    }
    counts_->reorder_sum += entry.stamp.reorder_delay;
  }
  publish_(std::move(answer));
  return correction;
}

}  // namespace framemill
