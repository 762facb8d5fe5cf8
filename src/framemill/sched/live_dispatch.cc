#include "framemill/sched/live_dispatch.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <iterator>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// So many adaptive frames may wait per parallel inference: enough to choose from, few enough that
/// most frames are answered at once.
constexpr std::size_t kContestants = 4;
/// Need of a frame that must be inferred, next to which other needs are nothing.
constexpr double kMustInfer = 1e6;
/// No service time is so long that a frame which its camera cannot go on without is hopeless.
constexpr Duration kStartPatience = std::chrono::seconds(60);
/// From this share of the time with all slots taken on, the device is what limits.
constexpr double kFullShare = .7;
/// One reading of the device's utilisation.
constexpr Duration kUtilisationWindow = std::chrono::milliseconds(500);
/// One window of the ladder.
constexpr Duration kLadderWindow = std::chrono::milliseconds(500);
/// What adaptive cameras ask for at least where no fidelity is to be held: below that share a
/// cheaper rung loses less than ever older boxes do.
constexpr double kShareWithoutTarget = .05;
/// Fidelity of a rung beside the one above it, until audits have said more.
constexpr double kRungQuality = .95;
/// A frame's worth is held against so many others at most.
constexpr std::size_t kWorthsMax = 64;
/// A frame comes up to this part of its period earlier or later than expected: at 25 frames/s and
/// 10 answers/s they are 80 and 120 ms apart.
constexpr int kEarlyPart = 4;
/// A wait for a slot and an inference after it are taken to end within the sum of their means and
/// so many standard deviations of the sum.
constexpr double kSlotSigmas = 3;
/// Another model's batch is longer than a camera's own where it is by so much; less is noise.
constexpr double kLongerFactor = 1.25;
/// Of ServiceTimes: from mean to 95th percentile is 1.6 sigma.
constexpr double kSigmasToP95 = 1.6;
constexpr std::size_t kWordBits = 64;
/// Were a camera as stale as its last frame alone, then, where a little more comes than can be
/// served, those whose frames come behind a bunch of others would lose each second one for ever,
/// and the others none. So it is staler by the mean of its gaps, of which the last counts half, the
/// one before a quarter and so on. That doubles the staleness of all, so shares by weight stay as
/// they are. After a long gap the memory is no longer than this.
constexpr int kGapMemory = 2;
constexpr Duration kMemoryMax = std::chrono::seconds(10);

std::optional<LadderPolicy> make_ladder(const LiveDispatchOptions& options) {
  const auto has_rungs = [](std::size_t rungs) { return rungs > 1; };
  if (std::ranges::none_of(options.rungs_of_model, has_rungs)) return std::nullopt;
  LadderOptions ladder;
  for (const std::size_t rungs : options.rungs_of_model) {
    std::vector<double>& quality = ladder.ladders.emplace_back().quality;
    for (std::size_t i = 0; i < rungs; ++i)
      quality.push_back(i == 0 ? 1 : quality.back() * kRungQuality);
  }
  for (const DispatchCamera& camera : options.cameras)
    ladder.cameras.push_back({.ladder = camera.model, .priority = camera.priority});
  return LadderPolicy(std::move(ladder));
}

std::vector<DispatchDevice> devices_of(const LiveDispatchOptions& options) {
  if (!options.devices.empty()) return options.devices;
  return {{options.batches_max, options.lane_knees, options.lane_times}};
}

/// Smoothed over some frames. A gap tells little of the rate, and counts as a few periods.
Duration learned_period(Duration known, std::optional<TimePoint> last, TimePoint now) {
  constexpr int kSmoothing = 8;
  constexpr int kGapMax = 4;
  if (!last) return known;
  if (known == Duration::zero()) return now - *last;
  return known + (std::min(now - *last, kGapMax * known) - known) / kSmoothing;
}

void look_at(TimePoint at, std::optional<TimePoint>& wake_at) {
  wake_at = wake_at ? std::min(*wake_at, at) : at;
}

}  // namespace

LiveDispatch::LiveDispatch(LiveDispatchOptions options, TimePoint now)
    : options_(std::move(options)),
      camera_count_(options_.cameras.size()),
      mailboxes_(options_.cameras.size()),
      held_((options_.cameras.size() + kWordBits - 1) / kWordBits),
      next_arrival_(options_.cameras.size(), TimePoint::max()),
      has_only_full_(std::ranges::all_of(
          options_.cameras,
          [](const DispatchCamera& camera) { return camera.policy == PolicyKind::kFull; })),
      inference_policy_(options_.inference),
      devices_(devices_of(options_)),
      policy_{.knee_frames = options_.knee_frames},
      sizer_(options_.is_batch_by_utilisation
                 ? std::optional<UtilisationSizer>(std::in_place, UtilisationRule{},
                                                   options_.knee_frames)
                 : std::nullopt),
      utilisation_since_(now),
      busy_until_(now),
      ladder_(make_ladder(options_)),
      window_since_(now),
      slowdown_(options_.rungs_of_model.size(), 1),
      costs_(options_.rungs_of_model.size()),
      period_{.began_at = now} {
  adaptive_count_ = static_cast<std::size_t>(std::ranges::count_if(
      options_.cameras, [](const auto& camera) { return camera.policy == PolicyKind::kAdaptive; }));
  for (std::size_t i = 0; i < options_.cameras.size(); ++i) {
    if (options_.cameras[i].priority == Priority::kCritical)
      critical_.push_back(static_cast<CameraIndex>(i));
  }
  update_camera_count();
}

void LiveDispatch::update_camera_count() {
  const std::size_t cameras = std::max<std::size_t>(1, camera_count_);
  // One inference a camera at a time is fair and keeps answers in order; with fewer cameras than
  // parallel requests that would leave the device idle.
  const std::size_t slots = std::max<std::size_t>(1, devices_.slots());
  in_flight_per_camera_ = (slots + cameras - 1) / cameras;
  inference_policy_.set_camera_count(cameras, critical_.size());
}

void LiveDispatch::add_camera(const DispatchCamera& camera) {
  if (camera.priority == Priority::kCritical)
    critical_.push_back(static_cast<CameraIndex>(mailboxes_.size()));
  options_.cameras.push_back(camera);
  mailboxes_.emplace_back();
  next_arrival_.push_back(TimePoint::max());
  has_only_full_ = has_only_full_ && camera.policy == PolicyKind::kFull;
  held_.resize((mailboxes_.size() + kWordBits - 1) / kWordBits);
  inference_policy_.add_camera({camera.policy, camera.priority});
  if (ladder_) ladder_->add_camera({.ladder = camera.model, .priority = camera.priority});
  ++camera_count_;
  if (camera.policy == PolicyKind::kAdaptive) ++adaptive_count_;
  update_camera_count();
}

void LiveDispatch::remove_camera(CameraIndex camera) {
  CHECK(!mailboxes_[camera].waiting);
  end_camera(camera);
  --camera_count_;
  std::erase(critical_, camera);
  if (is_adaptive(camera)) --adaptive_count_;
  update_camera_count();
}

bool LiveDispatch::is_idle(CameraIndex camera) const {
  const Mailbox& mailbox = mailboxes_[camera];
  return !mailbox.waiting && mailbox.in_flight == 0 && !mailbox.awaited;
}

void LiveDispatch::set_share(double share) {
  options_.inference.share = share;
  inference_policy_.set_share(share);
}

template <typename See>
void LiveDispatch::for_each_of(std::uint64_t Held::*word, const See& see) {
  for (std::size_t i = 0; i < held_.size(); ++i) {
    for (std::uint64_t bits = held_[i].*word; bits != 0; bits &= bits - 1) {
      const std::size_t index = kWordBits * i + static_cast<std::size_t>(std::countr_zero(bits));
      see(static_cast<CameraIndex>(index), mailboxes_[index]);
    }
  }
}

void LiveDispatch::update_held(CameraIndex camera) {
  const Mailbox& mailbox = mailboxes_[camera];
  const std::uint64_t bit = std::uint64_t{1} << (camera % kWordBits);
  Held& held = held_[camera / kWordBits];
  held.waiting = mailbox.waiting ? held.waiting | bit : held.waiting & ~bit;
  held.any = mailbox.waiting || mailbox.awaited ? held.any | bit : held.any & ~bit;
}

void LiveDispatch::add_lane(std::size_t batch_max, DeviceSet hosts) {
  devices_.add_lane(batch_max, sizer_ ? sizer_->frames() : options_.knee_frames, hosts);
}

void LiveDispatch::set_device(TimePoint now, DeviceIndex device, bool is_serving,
                              std::size_t batch_max) {
  count_batch(now, 0);
  devices_.set_state(device, is_serving, batch_max);
  count_batch(now, 0);
  update_camera_count();
}

std::size_t LiveDispatch::knee_max() const {
  return lane_count() == 0 ? options_.knee_frames : std::max<std::size_t>(1, devices_.knee_max());
}

void LiveDispatch::expect_next(CameraIndex camera, TimePoint now) {
  Mailbox& mailbox = mailboxes_[camera];
  mailbox.period = options_.cameras[camera].period > Duration::zero()
                       ? options_.cameras[camera].period
                       : learned_period(mailbox.period, mailbox.arrived_at, now);
  mailbox.arrived_at = now;
  next_arrival_[camera] =
      mailbox.period > Duration::zero() ? now + mailbox.period : TimePoint::max();
}

std::optional<std::int64_t> LiveDispatch::arrive(const ArrivedFrame& frame, TimePoint now) {
  const CameraIndex camera = frame.sampled.camera;
  CHECK(camera < mailboxes_.size() && frame.lane < lane_count());
  Mailbox& mailbox = mailboxes_[camera];
  if (ladder_) {
    ++mailbox.offered;
    if (frame.edge_density) mailbox.scene.update(*frame.edge_density);
  }
  mailbox.lane = frame.lane;
  expect_next(camera, now);
  mailbox.is_inference_owed |= frame.sampled.is_scene_start;
  mailbox.is_start_owed |= frame.sampled.is_stream_start;
  if (frame.sampled.is_stream_start) {
    mailbox.stream_seq = frame.seq;
    mailbox.is_known = false;
    mailbox.has_sent = false;  // an outage is no gap
  }
  SampledFrame sampled = frame.sampled;
  sampled.is_scene_start = mailbox.is_inference_owed;
  sampled.is_stream_start = mailbox.is_start_owed;
  const bool is_to_wait = inference_policy_.arrive(sampled) != InferencePolicy::Verdict::kCarry;
  if (is_adaptive(camera)) ++period_.sampled;
  if (!is_to_wait) return frame.seq;
  if (is_adaptive(camera) && !is_worth_a_token(sampled) && !mailbox.waiting) return frame.seq;
  if (!mailbox.served_until) mailbox.served_until = frame.captured_at;
  const std::optional<std::int64_t> replaced = withdraw(camera);
  mailbox.waiting =
      Waiting{frame.seq, frame.captured_at, now, frame.lane, rung_of(camera), sampled};
  renew_need(camera);
  update_held(camera);
  return replaced;
}

std::optional<std::int64_t> LiveDispatch::withdraw(CameraIndex camera) {
  Mailbox& mailbox = mailboxes_[camera];
  if (!mailbox.waiting) return std::nullopt;
  const std::int64_t seq = mailbox.waiting->seq;
  mailbox.waiting.reset();
  update_held(camera);
  return seq;
}

void LiveDispatch::end_camera(CameraIndex camera) { next_arrival_[camera] = TimePoint::max(); }

void LiveDispatch::decide(TimePoint now, std::optional<InferenceCause> audit,
                          DispatchDecision& decision) {
  decision.batch.clear();
  decision.unserved.clear();
  decision.is_audit_wanted = false;
  decision.wake_at.reset();
  update_batch(now);
  // Nothing can be sent, and frames of policy full are never given up: under overload most looks.
  const bool is_blocked = has_only_full_ && devices_.is_full();
  if (!is_blocked) update_kept(now);
  if (audit == InferenceCause::kDueAudit && has_room_for_audit(audit) && !is_forced_waiting()) {
    decision.is_audit_wanted = true;
    decision.wake_at = now;
    return;
  }
  if (ladder_) decision.wake_at = window_since_ + kLadderWindow;
  if (is_blocked) return;
  gather(now, decision);
  decision.device = devices_.choose(
      waiting_, expected_, now, policy_, chosen_,
      kept_any_ != 0 ? std::span<const DeviceSet>(kept_) : std::span<const DeviceSet>());

  for (const std::size_t i : chosen_.hopeless) give_up(waiting_[i].camera, decision);
  send_chosen(now, decision);
  if (decision.batch.empty()) decision.is_audit_wanted = has_room_for_audit(audit);
  if (chosen_.wake_at) look_at(*chosen_.wake_at, decision.wake_at);
  if (has_only_full_) return;
  give_up_late(now, decision);
  give_up_needless(decision);
}

void LiveDispatch::gather(TimePoint now, DispatchDecision& decision) {
  waiting_.clear();
  expected_.clear();
  // What the budget says of a cause is the same for all frames of one look.
  std::array<std::optional<bool>, 6> has_budget;
  const auto has_budget_for = [&](InferenceCause cause) {
    std::optional<bool>& known = has_budget[static_cast<std::size_t>(cause)];
    if (!known) known = inference_policy_.has_budget(cause);
    return *known;
  };
  const bool is_full = devices_.is_full();
  for_each_of(&Held::waiting, [&](CameraIndex index, const Mailbox& mailbox) {
    if (mailbox.in_flight >= in_flight_limit(index)) return;
    const DispatchCamera& camera = options_.cameras[index];
    // It can't be sent now, and late is better than none: under overload this is most of the looks.
    if (is_full && camera.policy == PolicyKind::kFull) return;
    const Waiting& frame = *mailbox.waiting;
    if (kept_any_ != 0 && kept_[frame.lane] != 0 && camera.priority != Priority::kCritical) {
      const DeviceSet servers = devices_.servers(frame.lane);
      look_at(kept_until_[frame.lane], decision.wake_at);
      if (servers != 0 && (servers & ~kept_[frame.lane]) == 0) return;
    }
    const bool is_adaptively_chosen = is_adaptive(index);
    if (is_adaptively_chosen && !has_budget_for(inference_policy_.cause_of(frame.sampled))) return;
    WaitingFrame& candidate = waiting_.emplace_back();  // in place: this is most of a look's work
    candidate.camera = index;
    candidate.model = frame.lane;
    candidate.priority = camera.priority;
    candidate.arrived_at = frame.arrived_at;
    candidate.deadline = frame.captured_at + camera.slo;
    candidate.served_until = stale_since(mailbox, now);
    candidate.need = camera.weight;
    candidate.is_late_useful = camera.policy == PolicyKind::kFull;
    if (!is_adaptively_chosen) return;
    // Its own answer may be late; all later ones of its camera need what it brings.
    if (mailbox.is_inference_owed)
      candidate.deadline = std::max(candidate.deadline, now + kStartPatience);
    if (is_full) return;  // nobody asks for its need
    // The policy multiplies by staleness; what is expected to be wrong counts as it is.
    const double staleness_s = std::max(1e-3, to_seconds(now - candidate.served_until));
    candidate.need = camera.weight * frame.need / staleness_s;
  });
  // Who comes next matters only to a batch that could leave now and may wait for company.
  if (waiting_.empty() || is_full || knee_max() <= 1) return;
  // No batch closes later than `linger` after its oldest frame came, nor waits for one overdue.
  const TimePoint first = now - policy_.linger;
  const TimePoint last = now + policy_.linger;
  for (std::size_t i = 0; i < next_arrival_.size(); ++i) {
    if (next_arrival_[i] < first || next_arrival_[i] > last || mailboxes_[i].waiting) continue;
    expected_.push_back({.model = mailboxes_[i].lane, .at = next_arrival_[i]});
  }
}

void LiveDispatch::send_chosen(TimePoint now, DispatchDecision& decision) {
  for (const std::size_t i : chosen_.send) {
    const CameraIndex index = waiting_[i].camera;
    Mailbox& mailbox = mailboxes_[index];
    const Waiting& waiting = *mailbox.waiting;
    const bool is_alone = inference_policy_.is_alone(waiting.sampled);
    if (is_alone && !decision.batch.empty()) continue;  // waits for the next look
    bool is_forced = false;
    if (is_adaptive(index)) {
      const InferenceCause cause = inference_policy_.cause_of(waiting.sampled);
      if (!inference_policy_.has_budget(cause)) continue;  // another of the batch took it
      inference_policy_.take(cause);
      ++period_.inferred;
      is_forced = cause != InferenceCause::kNeed;
      mailbox.awaited =
          Awaited{waiting.seq, waiting.captured_at + options_.cameras[index].slo - kGiveUpBefore};
    }
    decision.lane = waiting.lane;
    decision.batch.push_back({index, waiting.seq, waiting.rung, is_forced});
    note_served(mailbox, waiting.captured_at);
    mailbox.is_inference_owed = false;
    mailbox.is_start_owed = false;
    ++mailbox.in_flight;
    mailbox.sent.push_back(waiting);
    mailbox.waiting.reset();
    update_held(index);
    if (is_alone) break;
  }
  if (decision.batch.empty()) return;
  if (ladder_) {
    sent_of_lane_.resize(lane_count());
    sent_of_lane_[decision.lane] += decision.batch.size();
  }
  begin_batch(now, decision.device, decision.lane, decision.batch.size());
}

void LiveDispatch::note_served(Mailbox& mailbox, TimePoint captured_at) {
  const Duration last = captured_at - *mailbox.served_until;
  if (mailbox.has_sent && last > Duration::zero()) {  // 0: sent once more, after its batch failed
    const Duration bounded = std::min(last, kMemoryMax);
    mailbox.gap = mailbox.gap ? *mailbox.gap + (bounded - *mailbox.gap) / kGapMemory : bounded;
  }
  mailbox.served_until = captured_at;
  mailbox.has_sent = true;
}

TimePoint LiveDispatch::stale_since(const Mailbox& mailbox, TimePoint now) {
  return *mailbox.served_until - mailbox.gap.value_or(now - *mailbox.served_until);
}

bool LiveDispatch::has_room_for_audit(std::optional<InferenceCause> cause) const {
  return cause && devices_.free_slots(~kept_any_) > 0 && inference_policy_.has_budget(*cause);
}

bool LiveDispatch::is_forced_waiting() {
  bool is_waiting = false;
  for_each_of(&Held::waiting, [&](CameraIndex index, const Mailbox& mailbox) {
    if (mailbox.in_flight >= in_flight_limit(index)) return;
    is_waiting |= options_.cameras[index].priority == Priority::kCritical;
    if (!is_adaptive(index)) return;
    const InferenceCause cause = inference_policy_.cause_of(mailbox.waiting->sampled);
    is_waiting |= cause != InferenceCause::kNeed && inference_policy_.has_budget(cause);
  });
  return is_waiting;
}

Duration LiveDispatch::full_batch(LaneIndex lane) const {
  if (devices_.measured(lane) == nullptr && devices_.times(lane).samples() == 0) return Duration{0};
  return devices_.times(lane).p95(bucket_for(devices_.knee(lane)));
}

Duration LiveDispatch::time_without_slot(const ServiceTimes& times, Duration batch,
                                         std::size_t slots) const {
  // Batches of `batch` keep n slots busy, each somewhere between begin and end: the first to end
  // does so after the least of n uniform times, which has mean batch / (n + 1) and variance
  // batch^2 n / ((n + 1)^2 (n + 2)).
  const auto n = static_cast<double>(slots);
  const double batch_s = to_seconds(batch), mean_s = to_seconds(times.mean(1));
  const double wait_sigma = batch_s * std::sqrt(n / (n + 2)) / (n + 1);
  const double own_sigma = (to_seconds(times.p95(1)) - mean_s) / kSigmasToP95;
  return from_seconds(batch_s / (n + 1) + mean_s + kSlotSigmas * std::hypot(wait_sigma, own_sigma));
}

void LiveDispatch::update_kept(TimePoint now) {
  kept_any_ = 0;
  if (critical_.empty()) return;
  kept_.assign(lane_count(), 0);
  kept_until_.assign(lane_count(), TimePoint::min());
  for (const CameraIndex camera : critical_) {
    const Mailbox& mailbox = mailboxes_[camera];
    // Before its first frame nobody knows which model it will want at which size.
    const bool is_known = mailbox.arrived_at && mailbox.lane < lane_count();
    const DeviceSet hosts = is_known ? devices_.servers(mailbox.lane) : devices_.servers();
    // With a single slot nothing is kept: the device would idle.
    if (devices_.free_slots(hosts) > 1 || devices_.slots(hosts) < 2) continue;
    for (LaneIndex lane = 0; lane < lane_count(); ++lane) {
      if ((devices_.servers(lane) & hosts) == 0) continue;
      const std::optional<TimePoint> until = critical_due_until(camera, hosts, lane, now);
      if (!until) continue;
      kept_any_ |= hosts;
      kept_[lane] |= hosts;
      kept_until_[lane] = std::max(kept_until_[lane], *until);
    }
  }
}

bool LiveDispatch::can_wait_for(LaneIndex lane, CameraIndex camera, DeviceSet hosts) const {
  const Duration batch = full_batch(lane);
  const Mailbox& mailbox = mailboxes_[camera];
  const ServiceTimes& times = devices_.times(mailbox.lane);
  const Duration until_answered =
      time_without_slot(times, batch, devices_.slots(hosts)) + policy_.post_time;
  return until_answered <= options_.cameras[camera].slo && batch <= mailbox.period &&
         (lane == mailbox.lane || to_seconds(batch) <= kLongerFactor * to_seconds(times.p95(1)));
}

std::optional<TimePoint> LiveDispatch::critical_due_until(CameraIndex camera, DeviceSet hosts,
                                                          LaneIndex lane, TimePoint now) const {
  constexpr Duration kLookAgain = std::chrono::seconds(1);  // frames that come are looked at anyway
  if (options_.is_slot_reserved) return now + kLookAgain;
  const Mailbox& mailbox = mailboxes_[camera];
  const TimePoint next = next_arrival_[camera];
  if (mailbox.waiting || next == TimePoint::max()) return std::nullopt;
  if (can_wait_for(lane, camera, hosts)) return std::nullopt;
  const Duration early = mailbox.period / kEarlyPart;
  const TimePoint from = next - early - full_batch(lane);
  const TimePoint to = next + early;
  return now >= from && now < to ? std::optional(to) : std::nullopt;
}

DeviceIndex LiveDispatch::send_audit(TimePoint now, LaneIndex lane, InferenceCause cause) {
  inference_policy_.take(cause);
  ++period_.inferred;
  const DeviceIndex device = devices_.for_single(lane, kept_any_ != 0 ? kept_[lane] : 0);
  begin_batch(now, device, lane, 1);
  return device;
}

void LiveDispatch::begin_batch(TimePoint now, DeviceIndex device, LaneIndex lane,
                               std::size_t frames) {
  devices_.begin_batch(now, device, lane, frames);
  count_batch(now, 1);
}

void LiveDispatch::give_up(CameraIndex camera, DispatchDecision& decision) {
  const std::optional<Waiting>& waiting = mailboxes_[camera].waiting;
  CHECK(waiting.has_value());
  const bool is_device_out = !devices_.is_served(waiting->lane);
  decision.unserved.push_back({camera, *withdraw(camera), is_device_out});
}

Duration LiveDispatch::least_time(CameraIndex camera, LaneIndex lane) const {
  const ServiceTimes& times = devices_.times(lane);
  const bool is_critical = options_.cameras[camera].priority == Priority::kCritical;
  return (is_critical ? times.p05(1) : times.p95(1)) + policy_.post_time;
}

void LiveDispatch::give_up_late(TimePoint now, DispatchDecision& decision) {
  by_need_.clear();
  for_each_of(&Held::any, [&](CameraIndex camera, Mailbox& mailbox) {
    const DispatchCamera& settings = options_.cameras[camera];
    if (settings.policy == PolicyKind::kFull) return;  // late is better than none
    if (mailbox.waiting && mailbox.in_flight >= in_flight_limit(camera)) {
      const TimePoint last_start =
          mailbox.waiting->captured_at + settings.slo - least_time(camera, mailbox.waiting->lane);
      if (now > last_start) {
        give_up(camera, decision);
      } else {
        look_at(last_start + Duration(1), decision.wake_at);
      }
    }
    if (!is_adaptive(camera)) return;
    if (mailbox.awaited) {
      if (now >= mailbox.awaited->give_up_at) {
        decision.unserved.push_back({camera, mailbox.awaited->seq, false});
        for (Waiting& sent : mailbox.sent) sent.is_given_up |= sent.seq == mailbox.awaited->seq;
        mailbox.awaited.reset();
        update_held(camera);
      } else {
        look_at(mailbox.awaited->give_up_at, decision.wake_at);
      }
    }
    // For the budget, or behind the one above; a scene start then leaves the next frame what it
    // owes. Where nothing is known yet it waits for a slot until the next one takes its place:
    // without an inference it has no answer anyway.
    if (!mailbox.waiting) return;
    const bool is_answerless = mailbox.is_inference_owed && !mailbox.is_known;
    const InferenceCause cause = inference_policy_.cause_of(mailbox.waiting->sampled);
    if (!is_answerless || mailbox.in_flight > 0 || !inference_policy_.has_budget(cause)) {
      const TimePoint give_up_at = mailbox.waiting->captured_at + settings.slo - kGiveUpBefore;
      if (now >= give_up_at) return give_up(camera, decision);
      look_at(give_up_at, decision.wake_at);
    }
    if (mailbox.in_flight == 0)
      by_need_.emplace_back(mailbox.waiting->need * priority_weight(settings.priority), camera);
  });
}

void LiveDispatch::give_up_needless(DispatchDecision& decision) {
  std::size_t keep = kContestants * devices_.slots() * knee_max();
  if (!inference_policy_.has_budget(InferenceCause::kNeed)) keep = 0;
  if (by_need_.size() <= keep) return;
  if (by_need_.size() == keep + 1) {  // as a rule: one has come
    std::iter_swap(std::ranges::min_element(by_need_), std::prev(by_need_.end()));
  } else {
    std::ranges::nth_element(by_need_, by_need_.begin() + static_cast<std::ptrdiff_t>(keep),
                             std::greater<>{});
  }
  for (std::size_t i = keep; i < by_need_.size(); ++i) {
    if (by_need_[i].first < kMustInfer) give_up(by_need_[i].second, decision);
  }
}

double LiveDispatch::need_of(const SampledFrame& sampled) const {
  return inference_policy_.cause_of(sampled) == InferenceCause::kNeed
             ? inference_policy_.need(sampled)
             : kMustInfer;
}

bool LiveDispatch::is_worth_a_token(const SampledFrame& sampled) {
  const std::optional<double> frames_to_full = inference_policy_.frames_to_full();
  if (!frames_to_full || inference_policy_.cause_of(sampled) != InferenceCause::kNeed) return true;
  const double worth =
      inference_policy_.need(sampled) * priority_weight(options_.cameras[sampled.camera].priority);
  const auto better = static_cast<std::size_t>(
      std::ranges::count_if(recent_worths_, [&](double other) { return other > worth; }));
  // About each camera's last frame, this one's left out.
  const std::size_t others = std::min(std::max<std::size_t>(1, adaptive_count_), kWorthsMax) - 1;
  recent_worths_.push_back(worth);
  if (recent_worths_.size() > others) recent_worths_.pop_front();
  if (!inference_policy_.has_budget(InferenceCause::kNeed)) return false;
  // The longer can be waited for a better one without losing budget, the better it has to be.
  return static_cast<double>(better) * (*frames_to_full + 2) <= static_cast<double>(others);
}

bool LiveDispatch::claim(CameraIndex camera, std::int64_t seq) {
  Mailbox& mailbox = mailboxes_[camera];
  if (!mailbox.awaited || mailbox.awaited->seq != seq) return false;
  mailbox.awaited.reset();
  update_held(camera);
  return true;
}

bool LiveDispatch::give_back(TimePoint now, CameraIndex camera, std::int64_t seq) {
  Mailbox& mailbox = mailboxes_[camera];
  const auto found = std::ranges::find(mailbox.sent, seq, &Waiting::seq);
  if (found == mailbox.sent.end()) return false;
  Waiting frame = *found;
  mailbox.sent.erase(found);
  owe_again(camera, frame);
  if (mailbox.waiting || frame.is_returned || frame.is_given_up) return false;
  if (!devices_.is_served(frame.lane)) return false;
  const DispatchCamera& settings = options_.cameras[camera];
  const bool is_late = now + least_time(camera, frame.lane) > frame.captured_at + settings.slo;
  if (is_late && settings.policy != PolicyKind::kFull) return false;
  frame.is_returned = true;
  frame.arrived_at = now;
  mailbox.waiting = frame;
  renew_need(camera);
  update_held(camera);
  return true;
}

void LiveDispatch::owe_again(CameraIndex camera, const Waiting& sent) {
  Mailbox& mailbox = mailboxes_[camera];
  mailbox.is_inference_owed |= sent.sampled.is_scene_start;
  // The token that a start brings is spent where the model has run for nothing.
  mailbox.is_start_owed |= sent.sampled.is_stream_start && !sent.is_given_up;
  if (!mailbox.waiting) return;
  mailbox.waiting->sampled.is_scene_start = mailbox.is_inference_owed;
  mailbox.waiting->sampled.is_stream_start = mailbox.is_start_owed;
  renew_need(camera);
}

void LiveDispatch::learn_rung(CameraIndex camera, std::uint32_t rung,
                              const AgreementCounts& counts) {
  if (ladder_) ladder_->learn(camera, rung, counts);
}

void LiveDispatch::renew_doubt(CameraIndex camera, std::int64_t seq, const ObjectDoubt& doubt) {
  std::optional<Waiting>& waiting = mailboxes_[camera].waiting;
  if (!waiting || waiting->seq != seq) return;
  waiting->sampled.doubt = doubt;
  renew_need(camera);
}

void LiveDispatch::learn(CameraIndex camera, const ObjectDoubt& doubt,
                         const AgreementCounts& counts) {
  inference_policy_.learn(camera, doubt, counts);
  renew_need(camera);
}

void LiveDispatch::set_adaptive_share(double share) {
  inference_policy_.set_adaptive_share(share);
  for_each_of(&Held::waiting, [this](CameraIndex camera, const Mailbox&) { renew_need(camera); });
}

void LiveDispatch::renew_need(CameraIndex camera) {
  std::optional<Waiting>& waiting = mailboxes_[camera].waiting;
  if (waiting && is_adaptive(camera)) waiting->need = need_of(waiting->sampled);
}

void LiveDispatch::complete(TimePoint now, LaneIndex lane, std::size_t frames,
                            std::span<const CameraIndex> cameras,
                            std::optional<Duration> service_time, DeviceIndex device) {
  devices_.end_batch(device, lane, frames, service_time);
  for (const CameraIndex camera : cameras) {
    Mailbox& mailbox = mailboxes_[camera];
    --mailbox.in_flight;
    if (mailbox.sent.size() <= mailbox.in_flight) continue;  // it was given back
    mailbox.is_known |= service_time && mailbox.sent.front().seq >= mailbox.stream_seq;
    mailbox.sent.erase(mailbox.sent.begin());
  }
  count_batch(now, -1);
}

void LiveDispatch::count_batch(TimePoint now, int change) {
  busy_ += (now - busy_until_) * static_cast<std::int64_t>(batches_in_flight_);
  busy_until_ = now;
  batches_in_flight_ += static_cast<std::size_t>(change);
  if (full_since_) period_.full += now - std::max(*full_since_, period_.began_at);
  full_since_.reset();
  if (devices_.is_full()) full_since_ = now;
}

void LiveDispatch::update_batch(TimePoint now) {
  if (!sizer_ || now - utilisation_since_ < kUtilisationWindow) return;
  count_batch(now, 0);
  const double slots = static_cast<double>(std::max<std::size_t>(1, devices_.slots()));
  const double utilisation = to_seconds(busy_) / (slots * to_seconds(now - utilisation_since_));
  busy_ = Duration::zero();
  utilisation_since_ = now;
  devices_.set_knee(sizer_->update(now, utilisation));
}

std::optional<double> LiveDispatch::end_period(TimePoint now) {
  std::optional<double> share_managed;
  if (full_since_) period_.full += now - std::max(*full_since_, period_.began_at);
  const Duration length = now - period_.began_at;
  if (period_.sampled > 0 && to_seconds(period_.full) >= kFullShare * to_seconds(length)) {
    share_managed = static_cast<double>(period_.inferred) / static_cast<double>(period_.sampled);
  }
  period_ = {.began_at = now};
  return share_managed;
}

bool LiveDispatch::is_ladder_due(TimePoint now) const {
  return ladder_ && now - window_since_ >= kLadderWindow;
}

std::span<const RungChange> LiveDispatch::update_rungs(
    TimePoint now, std::span<const std::vector<LaneIndex>> lanes,
    std::optional<double> share_wanted) {
  CHECK(is_ladder_due(now) && lanes.size() == costs_.size());
  const Duration window = now - window_since_;
  for (std::size_t model = 0; model < lanes.size(); ++model) update_costs(model, lanes[model]);
  std::vector<CameraDemand> demand;
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    demand.push_back(
        {demand_of(static_cast<CameraIndex>(i), window, share_wanted), mailboxes_[i].scene.kind()});
    mailboxes_[i].offered = 0;
  }
  sent_of_lane_.assign(lane_count(), 0);
  window_since_ = now;
  // Without any device nothing is inferred, by whatever rung.
  const double slots = static_cast<double>(std::max<std::size_t>(1, devices_.slots()));
  ladder_->decide(now, demand, costs_, slots, rung_changes_);
  for (const RungChange& change : rung_changes_) ++mailboxes_[change.camera].rung_changes;
  return rung_changes_;
}

double LiveDispatch::demand_of(CameraIndex index, Duration window,
                               std::optional<double> share_wanted) const {
  const DispatchCamera& camera = options_.cameras[index];
  double share = 1;
  if (camera.policy == PolicyKind::kHold) share = options_.inference.share;
  if (camera.policy == PolicyKind::kAdaptive && camera.priority != Priority::kCritical) {
    share = std::min(share_wanted.value_or(kShareWithoutTarget), options_.inference.share);
  }
  return share * static_cast<double>(mailboxes_[index].offered) / to_seconds(window);
}

double LiveDispatch::cost_s(const ServiceTimes& times, LaneIndex lane) const {
  const std::size_t frames = devices_.knee(lane);
  return to_seconds(times.mean(bucket_for(frames))) / static_cast<double>(frames);
}

void LiveDispatch::update_costs(std::size_t model, std::span<const LaneIndex> lanes) {
  costs_[model].assign(options_.rungs_of_model[model], Duration::zero());
  // What else the machine does slows all rungs alike, but only those in use show it.
  double now_s = 0;
  double measured_s = 0;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const LaneIndex lane = lanes[i];
    const ServiceTimes* const at_start = devices_.measured(lane);
    if (at_start == nullptr) continue;
    const double measured = cost_s(*at_start, lane);
    costs_[model][i] = from_seconds(measured);
    sent_of_lane_.resize(lane_count());
    const auto sent = static_cast<double>(sent_of_lane_[lane]);
    now_s += sent * cost_s(devices_.times(lane), lane);
    measured_s += sent * measured;
  }
  if (now_s > 0 && measured_s > 0) slowdown_[model] = now_s / measured_s;
  for (Duration& cost : costs_[model]) cost = from_seconds(to_seconds(cost) * slowdown_[model]);
}

std::uint32_t LiveDispatch::rung_of(CameraIndex camera) const {
  return ladder_ ? static_cast<std::uint32_t>(ladder_->rung_of(camera)) : 0;
}

std::int64_t LiveDispatch::rung_changes(CameraIndex camera) const {
  return mailboxes_[camera].rung_changes;
}

std::optional<std::int64_t> LiveDispatch::waiting(CameraIndex camera) const {
  const std::optional<Waiting>& waiting = mailboxes_[camera].waiting;
  return waiting ? std::optional(waiting->seq) : std::nullopt;
}

bool LiveDispatch::is_drained() const {
  return batches_in_flight_ == 0 &&
         std::ranges::none_of(mailboxes_, [](const Mailbox& m) { return m.waiting.has_value(); });
}

}  // namespace framemill
