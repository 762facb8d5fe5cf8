#include "framemill/sched/inference_policy.h"

#include <algorithm>
#include <cmath>

#include "framemill/base/check.h"
#include "framemill/sched/batch_policy.h"

namespace framemill {

namespace {
/// In mean intervals between two inferences of a camera, 1 / share frames.
constexpr double kLongWait = 1.75;

/// Grows steeply where a camera waits longer than others: what its boxes do not show (an object
/// that comes out from behind another) has then had time to happen.
double impatience(std::int64_t age, double share) {
  const double wait = static_cast<double>(age) * share / kLongWait;
  return wait > 1 ? wait * wait * wait * wait : 1;
}

}  // namespace

InferencePolicy::InferencePolicy(InferencePolicyOptions options)
    : options_(std::move(options)),
      adaptive_share_(options_.adaptive_share.value_or(options_.share)),
      hold_(options_.cameras.size()),
      need_(options_.cameras.size()),
      tokens_(adaptive_share_, std::max<std::size_t>(1, options_.cameras.size())) {
  CHECK(options_.share > 0 && options_.share <= 1);
  tokens_.set_debt_max(static_cast<std::size_t>(
      std::ranges::count(options_.cameras, Priority::kCritical, &PolicyCamera::priority)));
}

void InferencePolicy::set_adaptive_share(double share) {
  tokens_.set_budget(share);
  adaptive_share_ = share;
}

void InferencePolicy::add_camera(const PolicyCamera& camera) {
  options_.cameras.push_back(camera);
  hold_.emplace_back();
  need_.add_camera();
}

bool InferencePolicy::is_inferred(const SampledFrame& frame) {
  switch (options_.cameras[frame.camera].policy) {
    case PolicyKind::kFull:
      return true;
    case PolicyKind::kSimilarity:
      return frame.is_scene_start || frame.similarity <= options_.similarity_min;
    case PolicyKind::kHold:
    case PolicyKind::kAdaptive:
      break;
  }
  HoldState& state = hold_[frame.camera];
  if (frame.is_scene_start || !state.has_begun) {
    state = {.has_begun = true, .share = options_.share};
    return true;
  }
  // Inference k falls on frame ceil(k / share). The small term makes .29 x 100 a whole 29.
  const auto due_of = [](double phase) { return std::floor(phase + 1e-6); };
  const auto phase_after = [&state](std::int64_t frames) {
    return state.phase + static_cast<double>(frames) * state.share;
  };
  if (state.share != options_.share) {
    const double phase = phase_after(state.frames);
    state.phase = phase - due_of(phase);
    state.share = options_.share;
    state.frames = 0;
  }
  ++state.frames;
  return due_of(phase_after(state.frames)) > due_of(phase_after(state.frames - 1));
}

InferencePolicy::Verdict InferencePolicy::arrive(const SampledFrame& frame) {
  CHECK(frame.camera < options_.cameras.size());
  if (options_.cameras[frame.camera].policy != PolicyKind::kAdaptive) {
    return is_inferred(frame) ? Verdict::kInfer : Verdict::kCarry;
  }
  tokens_.earn();
  return Verdict::kCompete;
}

double InferencePolicy::need(const SampledFrame& frame) const {
  return need_.need(frame.camera, frame.doubt) * impatience(frame.doubt.age, adaptive_share_);
}

bool InferencePolicy::has_budget(InferenceCause cause) const {
  if (adaptive_share_ >= 1) return true;
  TokenBucket after = tokens_;
  return after.try_take(cause);
}

void InferencePolicy::take(InferenceCause cause) {
  if (adaptive_share_ < 1) CHECK(tokens_.try_take(cause));
}

std::optional<double> InferencePolicy::frames_to_full() const {
  if (adaptive_share_ >= 1) return std::nullopt;
  return tokens_.frames_to_full();
}

std::size_t InferencePolicy::choose(std::span<const SampledFrame> frames, std::size_t audits,
                                    std::size_t due, std::vector<bool>& is_inferred_out) {
  is_inferred_out.assign(frames.size(), false);
  requests_.clear();
  places_.clear();
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const SampledFrame& frame = frames[i];
    CHECK(frame.camera < options_.cameras.size());
    if (options_.cameras[frame.camera].policy != PolicyKind::kAdaptive) {
      is_inferred_out[i] = is_inferred(frame);
      continue;
    }
    if (adaptive_share_ >= 1) {
      is_inferred_out[i] = true;
      continue;
    }
    const double weight = priority_weight(options_.cameras[frame.camera].priority);
    requests_.push_back(
        {.cause = cause_of(frame), .worth = weight * need(frame), .is_wanted = frame.is_choosable});
    places_.push_back(i);
  }
  if (adaptive_share_ >= 1) return audits;
  for (std::size_t i = 0; i < audits; ++i) {
    requests_.push_back({.cause = i < due ? InferenceCause::kDueAudit : InferenceCause::kAudit,
                         .is_new_sample = false});
  }
  choose_within_budget(requests_, tokens_, chosen_);
  std::size_t audits_chosen = 0;
  for (const std::size_t i : chosen_) {
    if (i < places_.size()) {
      is_inferred_out[places_[i]] = true;
    } else {
      ++audits_chosen;
    }
  }
  return audits_chosen;
}

}  // namespace framemill
