#include "framemill/sched/batch_policy.h"

#include <algorithm>
#include <cmath>

#include "framemill/base/check.h"

// The order of service
//
// Problem: under overload a camera's mailbox always holds a frame, so the order decides alone who
// is answered and how old the answers are. Staleness alone is fair to the cameras, but near the
// limit of the slo it turns into "oldest frame first": every answer leaves just before its deadline
// (2x overload, slo 100 ms, GPU of 28 ms a batch: p50 .63 slo; 10 % overload: .86 slo). Newest
// first has the lowest latency (.37), but loses frames which a device that is just not overloaded
// could still have served (goodput .95 instead of 1.0 at 95 % load, slo 60 ms). Staleness x (2/3 +
// 1/3 of the share of its time that a frame has left) keeps both: p50 .42 and goodput .99 in the
// same worlds, and gaps of a camera below twice their mean. plan/scheduling_bars_test.cc holds the
// worlds and the bars.

namespace framemill {
namespace {

using Candidate = BatchScratch::Candidate;
using Model = BatchScratch::Model;

constexpr double kNeedMax = 1e9;             // keeps every score finite
constexpr double kFreshnessShare = 1.0 / 3;  // see above
// How much better the best frame may be before a model with less slack no longer goes first.
constexpr double kUrgencyWorth = 2.0;

// Deadlines and capture times may be TimePoint::min() or max(): sums stop there, they never wrap.
Duration saturated_sum(Duration a, Duration b) {
  Duration::rep sum = 0;
  if (!__builtin_add_overflow(a.count(), b.count(), &sum)) return Duration(sum);
  return a > Duration::zero() ? Duration::max() : Duration::min();
}
Duration saturated_difference(Duration a, Duration b) {
  Duration::rep difference = 0;
  if (!__builtin_sub_overflow(a.count(), b.count(), &difference)) return Duration(difference);
  return a > b ? Duration::max() : Duration::min();
}
TimePoint later(TimePoint at, Duration by) {
  return TimePoint(saturated_sum(at.time_since_epoch(), by));
}
TimePoint earlier(TimePoint at, Duration by) {
  return TimePoint(saturated_difference(at.time_since_epoch(), by));
}

double usable_need(double need) { return std::isnan(need) ? 1.0 : std::clamp(need, 0.0, kNeedMax); }

/// The share of its time which a frame has left before it becomes hopeless, 0..1.
double time_left(const WaitingFrame& frame, TimePoint viable_from) {
  const auto since = [&frame](TimePoint from) {
    return static_cast<double>(
        saturated_difference(frame.deadline.time_since_epoch(), from.time_since_epoch()).count());
  };
  const double total = since(frame.arrived_at);
  return total > 0 ? std::clamp(since(viable_from) / total, 0.0, 1.0) : 1.0;
}

Candidate make_candidate(const WaitingFrame& frame, std::size_t index, TimePoint now,
                         TimePoint viable_from) {
  // A frame captured after `now` (clocks of two threads) has waited for nothing.
  const Duration staleness =
      std::max(saturated_difference(now.time_since_epoch(), frame.served_until.time_since_epoch()),
               Duration::zero());
  const double freshness = 1 - kFreshnessShare * (1 - time_left(frame, viable_from));
  return {.is_critical = frame.priority == Priority::kCritical,
          .score = priority_weight(frame.priority) * to_seconds(staleness) *
                   usable_need(frame.need) * freshness,
          .staleness = staleness,
          .camera = frame.camera,
          .model = frame.model,
          .index = index,
          .deadline = frame.deadline};
}

/// The order of service; total, so that equal inputs give equal batches.
bool is_better(const Candidate& a, const Candidate& b) {
  if (a.is_critical != b.is_critical) return a.is_critical;
  if (a.score != b.score) return a.score > b.score;
  if (a.staleness != b.staleness) return a.staleness > b.staleness;
  if (a.camera != b.camera) return a.camera < b.camera;
  return a.index < b.index;
}

/// One question to the policy, with what all its steps need.
class BatchChoice {
 public:
  BatchChoice(std::span<const WaitingFrame> waiting, TimePoint now, const BatchPolicy& policy,
              std::span<const ServiceTimes> times, const DeviceState& device, BatchScratch& scratch,
              BatchDecision& decision)
      : waiting_(waiting),
        now_(now),
        policy_(policy),
        times_(times),
        device_(device),
        scratch_(scratch),
        decision_(decision) {}

  void decide(std::span<const ExpectedArrival> expected) {
    sort_out_hopeless();
    if (is_full_) {
      decision_.wake_at = first_given_up_;
    } else if (scratch_.candidates.empty()) {
      if (device_.batches_in_flight == 0 && device_.may_try) try_one_hopeless();
    } else if (const std::optional<std::uint32_t> model = choose_model(expected)) {
      compose_batch(*model);
      if (decision_.send.size() < scratch_.candidates.size()) decision_.wake_at = now_;
    } else {
      decision_.wake_at = std::min(first_close_, *first_given_up_);
    }
  }

 private:
  /// Fills `hopeless`, the candidates and what is known per model.
  void sort_out_hopeless() {
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      const WaitingFrame& frame = waiting_[i];
      CHECK(frame.model < times_.size());
      Model& model = scratch_.models[frame.model];
      if (!model.is_known) model = look_at_model(frame.model);
      const bool is_critical = frame.priority == Priority::kCritical;
      if (frame.deadline < (is_critical ? model.critical_viable_from : model.viable_from)) {
        decision_.hopeless.push_back(i);
        continue;
      }
      const Duration before = is_critical ? model.critical_given_up_before : model.given_up_before;
      const TimePoint given_up_at = later(earlier(frame.deadline, before), Duration(1));
      first_given_up_ = std::min(first_given_up_.value_or(given_up_at), given_up_at);
      if (is_full_) continue;  // most looks under overload: nobody is chosen
      std::vector<Candidate>& candidates = scratch_.candidates;
      candidates.push_back(make_candidate(frame, i, now_, model.viable_from));
      if (model.ready == 0 || is_better(candidates.back(), candidates[model.lead]))
        model.lead = candidates.size() - 1;
      ++model.ready;
      model.oldest_arrival = std::min(model.oldest_arrival, frame.arrived_at);
      model.first_deadline = std::min(model.first_deadline, frame.deadline);
    }
  }

  std::size_t knee_of(std::uint32_t model) const {
    const std::span<const std::size_t> knees = policy_.knee_of_model;
    const std::size_t knee = model < knees.size() ? knees[model] : policy_.knee_frames;
    return std::clamp<std::size_t>(knee, 1, kBatchBuckets.back());
  }

  Model look_at_model(std::uint32_t index) const {
    const ServiceTimes& times = times_[index];
    Model model{.given_up_before = times.p95(1) + policy_.post_time,
                .critical_given_up_before = times.p05(1) + policy_.post_time,
                .oldest_arrival = TimePoint::max(),
                .first_deadline = TimePoint::max(),
                .is_known = true};
    model.viable_from = later(now_, model.given_up_before);
    model.critical_viable_from = later(now_, model.critical_given_up_before);
    if (is_full_ && device_.free_at) {
      const TimePoint soonest_answer = later(*device_.free_at, times.p05(1) + policy_.post_time);
      model.viable_from = std::max(model.viable_from, soonest_answer);
      model.critical_viable_from = std::max(model.critical_viable_from, soonest_answer);
    }
    return model;
  }

  void try_one_hopeless() {
    std::vector<std::size_t>& hopeless = decision_.hopeless;
    const auto chosen = std::ranges::max_element(hopeless, [this](std::size_t a, std::size_t b) {
      if (waiting_[a].deadline != waiting_[b].deadline)
        return waiting_[a].deadline < waiting_[b].deadline;
      return waiting_[a].camera > waiting_[b].camera;
    });
    if (chosen == hopeless.end() || waiting_[*chosen].deadline < later(now_, policy_.post_time))
      return;
    decision_.send.push_back(*chosen);
    hopeless.erase(chosen);
  }

  /// The model whose batch leaves now, if one does; else sets first_close_.
  std::optional<std::uint32_t> choose_model(std::span<const ExpectedArrival> expected) {
    std::optional<std::uint32_t> best;
    for (std::uint32_t i = 0; i < scratch_.models.size(); ++i) {
      if (scratch_.models[i].ready == 0 || !is_due(i, expected)) continue;
      if (!best || is_better(lead_of(i), lead_of(*best))) best = i;
    }
    if (!best) return best;
    // Least slack first, where waiting for the best one's batch would lose the other.
    const Candidate& leader = lead_of(*best);
    const std::size_t best_batch =
        bucket_for(std::min(scratch_.models[*best].ready, knee_of(*best)));
    const TimePoint best_done = later(now_, times_[*best].p95(best_batch));
    std::uint32_t chosen = *best;
    Duration least_slack = slack_of(*best);
    for (std::uint32_t i = 0; i < scratch_.models.size(); ++i) {
      if (i == *best || scratch_.models[i].ready == 0) continue;
      const Candidate& other = lead_of(i);
      const bool is_lost_by_waiting =
          other.deadline < later(best_done, scratch_.models[i].given_up_before);
      const bool is_worth_it =
          other.is_critical == leader.is_critical && other.score * kUrgencyWorth >= leader.score;
      if (is_lost_by_waiting && is_worth_it && slack_of(i) < least_slack && is_due(i, expected)) {
        chosen = i;
        least_slack = slack_of(i);
      }
    }
    return chosen;
  }

  const Candidate& lead_of(std::uint32_t model) const {
    return scratch_.candidates[scratch_.models[model].lead];
  }
  Duration slack_of(std::uint32_t model) const {
    const TimePoint latest =
        earlier(lead_of(model).deadline, scratch_.models[model].given_up_before);
    return saturated_difference(latest.time_since_epoch(), now_.time_since_epoch());
  }

  bool is_due(std::uint32_t index, std::span<const ExpectedArrival> expected) {
    const Model& model = scratch_.models[index];
    const std::size_t knee = knee_of(index);
    if (model.ready >= knee) return true;
    // Company is worth a short wait, and only while a full batch would still be in time. Timers
    // fire late; closing `wake_margin` early turns that into slack.
    const Duration full_batch =
        times_[index].p95(bucket_for(knee)) + policy_.post_time + policy_.wake_margin;
    const TimePoint close_at = std::min(later(model.oldest_arrival, policy_.linger),
                                        earlier(model.first_deadline, full_batch));
    if (now_ >= close_at) return true;
    const TimePoint not_given_up = earlier(now_, policy_.linger);
    const bool is_company_coming = std::ranges::any_of(expected, [&](const ExpectedArrival& next) {
      return next.model == index && next.at >= not_given_up && next.at <= close_at;
    });
    if (!is_company_coming) return true;
    first_close_ = std::min(first_close_, close_at);
    return false;
  }

  void compose_batch(std::uint32_t index) {
    const Model& model = scratch_.models[index];
    const Candidate lead = lead_of(index);
    std::vector<Candidate>& candidates = scratch_.candidates;
    const auto of_model = scratch_.models.size() == 1
                              ? candidates.end()
                              : std::partition(candidates.begin(), candidates.end(),
                                               [index](const Candidate& candidate) {
                                                 return candidate.model == index;
                                               });
    const std::span<Candidate> ready(candidates.begin(), of_model);
    CHECK(ready.size() == model.ready);
    if (lead.is_critical && lead.deadline < needed_by(index, 1)) {  // company would only slow it
      decision_.send.push_back(lead.index);
      return;
    }

    const std::size_t knee = knee_of(index);
    std::size_t bucket = bucket_for(std::min(ready.size(), knee));
    if (lead.is_critical)  // it goes first even where that costs throughput
      while (bucket > 1 && lead.deadline < needed_by(index, bucket)) bucket /= 2;
    // A bucket must be more than half full, else the next smaller one holds its frames as well.
    std::size_t keeps = count_in_time(ready, needed_by(index, bucket));
    while (bucket > 1 && keeps <= bucket / 2) {
      bucket /= 2;
      keeps = count_in_time(ready, needed_by(index, bucket));
    }
    const TimePoint limit = needed_by(index, bucket);
    const auto is_in_time = [limit](const Candidate& frame) { return frame.deadline >= limit; };
    std::span<Candidate> chosen = ready;
    if (keeps < ready.size()) {
      const auto urgent = std::partition(ready.begin(), ready.end(), is_in_time);
      chosen = {ready.begin(), urgent};
      const std::span<Candidate> others{urgent, ready.end()};
      if (ready.size() <= knee && is_urgent_first(index, lead, others, chosen)) chosen = others;
    }
    const std::size_t count = std::min({chosen.size(), bucket, knee});
    const auto end = chosen.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(chosen.begin(), end, chosen.end(), is_better);
    for (const Candidate& candidate : chosen.first(count))
      decision_.send.push_back(candidate.index);
  }

  /// Whether `urgent` frames can leave in a smaller batch of their own and all others still follow.
  bool is_urgent_first(std::uint32_t index, const Candidate& lead,
                       std::span<const Candidate> urgent, std::span<const Candidate> others) const {
    const std::size_t own = bucket_for(urgent.size());
    const TimePoint own_limit = needed_by(index, own);
    if (lead.is_critical && lead.deadline >= needed_by(index, bucket_for(others.size())))
      return false;
    if (count_in_time(urgent, own_limit) < urgent.size()) return false;
    const TimePoint after = later(own_limit, times_[index].p95(bucket_for(others.size())));
    return count_in_time(others, after) == others.size();
  }

  /// A batch of `bucket` that leaves now keeps deadlines from here on. Never earlier than for a
  /// smaller one, whatever noise the learned times carry.
  TimePoint needed_by(std::uint32_t index, std::size_t bucket) const {
    Duration longest{0};
    for (const std::size_t size : kBatchBuckets)
      if (size <= bucket) longest = std::max(longest, times_[index].p95(size));
    return later(now_, longest + policy_.post_time);
  }

  static std::size_t count_in_time(std::span<const Candidate> frames, TimePoint limit) {
    return static_cast<std::size_t>(std::ranges::count_if(
        frames, [limit](const Candidate& frame) { return frame.deadline >= limit; }));
  }

  const std::span<const WaitingFrame> waiting_;
  const TimePoint now_;
  const BatchPolicy& policy_;
  const std::span<const ServiceTimes> times_;
  const DeviceState& device_;
  const bool is_full_ = device_.batches_in_flight >= device_.batches_max;
  BatchScratch& scratch_;
  BatchDecision& decision_;
  std::optional<TimePoint> first_given_up_;  // when the next candidate becomes hopeless
  TimePoint first_close_ = TimePoint::max();
};

/// Keeps what is useful late among the hopeless, and gives it a slot that nothing else wants.
void serve_late(std::span<const WaitingFrame> waiting, TimePoint now, const DeviceState& device,
                BatchDecision& decision) {
  std::optional<Candidate> best;
  std::size_t kept = 0;
  std::erase_if(decision.hopeless, [&](std::size_t i) {
    if (!waiting[i].is_late_useful) return false;
    const Candidate candidate = make_candidate(waiting[i], i, now, now);
    if (!best || is_better(candidate, *best)) best = candidate;
    ++kept;
    return true;
  });
  const bool is_all_settled =
      decision.send.empty() && kept + decision.hopeless.size() == waiting.size();
  if (!best || !is_all_settled || device.batches_in_flight >= device.batches_max) return;
  decision.send.push_back(best->index);
  if (kept > 1) decision.wake_at = now;  // another slot may be free, too
}

}  // namespace

void decide_batch(std::span<const WaitingFrame> waiting, std::span<const ExpectedArrival> expected,
                  TimePoint now, const BatchPolicy& policy, std::span<const ServiceTimes> times,
                  const DeviceState& device, BatchScratch& scratch, BatchDecision& decision) {
  decision.send.clear();
  decision.hopeless.clear();
  decision.wake_at.reset();
  if (waiting.empty()) return;  // nothing to wait for: the next arrival asks again
  scratch.candidates.clear();
  scratch.models.assign(times.size(), {});
  BatchChoice(waiting, now, policy, times, device, scratch, decision).decide(expected);
  serve_late(waiting, now, device, decision);
}

BatchDecision decide_batch(std::span<const WaitingFrame> waiting,
                           std::span<const ExpectedArrival> expected, TimePoint now,
                           const BatchPolicy& policy, std::span<const ServiceTimes> times,
                           const DeviceState& device) {
  BatchScratch scratch;
  BatchDecision decision;
  decide_batch(waiting, expected, now, policy, times, device, scratch, decision);
  return decision;
}

}  // namespace framemill
