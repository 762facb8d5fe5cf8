#include "framemill/engine/live_scheduler.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// So many adaptive frames may wait per parallel inference: enough to choose from, few enough that
/// most frames are answered at once.
constexpr std::size_t kContestants = 4;
/// Need of a frame that must be inferred, next to which other needs are nothing.
constexpr double kMustInfer = 1e6;
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

std::optional<LadderPolicy> make_ladder(const FrameSchedulerOptions& options) {
  const auto has_rungs = [](const std::vector<std::size_t>& rungs) { return rungs.size() > 1; };
  if (std::ranges::none_of(options.ladders, has_rungs)) return std::nullopt;
  LadderOptions ladder;
  for (const std::vector<std::size_t>& rungs : options.ladders) {
    std::vector<double>& quality = ladder.ladders.emplace_back().quality;
    for (std::size_t i = 0; i < rungs.size(); ++i)
      quality.push_back(i == 0 ? 1 : quality.back() * kRungQuality);
  }
  for (const ScheduledCamera& camera : options.cameras)
    ladder.cameras.push_back({.ladder = camera.model, .priority = camera.priority});
  return LadderPolicy(std::move(ladder));
}

}  // namespace

LiveScheduler::LiveScheduler(FrameSchedulerOptions options, DetectorPool& pool, const Clock& clock)
    : options_(std::move(options)),
      pool_(pool),
      clock_(clock),
      // One inference a camera at a time is fair and keeps answers in order; with fewer cameras
      // than parallel requests that would leave the device idle.
      in_flight_per_camera_((pool.batches_max() + options_.cameras.size() - 1) /
                            options_.cameras.size()),
      mailboxes_(options_.cameras.size()),
      inference_policy_(policy_options(options_)),
      times_(options_.lane_times),
      policy_{.knee_frames = options_.knee_frames},
      sizer_(options_.is_batch_by_utilisation
                 ? std::optional<UtilisationSizer>(std::in_place, UtilisationRule{},
                                                   options_.knee_frames)
                 : std::nullopt),
      utilisation_since_(clock_.now()),
      busy_until_(utilisation_since_),
      ladder_(make_ladder(options_)),
      window_since_(utilisation_since_),
      size_of_model_(options_.ladders.size()),
      slowdown_(options_.ladders.size(), 1),
      costs_(options_.ladders.size()),
      period_{.began_at = utilisation_since_},
      thread_([this] { run(); }) {}

LiveScheduler::~LiveScheduler() { stop(Duration::zero()); }

void LiveScheduler::offer(CameraIndex camera, Frame&& frame) {
  const ScheduledCamera& scheduled = options_.cameras[camera];
  const LaneIndex audit_lane = pool_.lane_for(scheduled.model, frame.picture->size);
  const TimePoint now = clock_.now();
  SampledFrame sampled{.camera = camera, .is_stream_start = frame.is_stream_start};
  if (is_adaptive(camera)) {
    // What waited is answered before the objects can be carried on to this frame.
    std::optional<Unserved> replaced;
    {
      const MutexLock lock(mu_);
      Mailbox& mailbox = mailboxes_[camera];
      if (mailbox.waiting) replaced = unserved_of(camera, std::move(*mailbox.waiting));
      mailbox.waiting.reset();
    }
    if (replaced) settle_unserved(std::move(*replaced));
    if (const auto outlook = scheduled.ledger->look(frame.stamp.seq))
      sampled.doubt = outlook->doubt;
  } else if (scheduled.policy == PolicyKind::kSimilarity) {
    sampled.similarity = scheduled.ledger->similarity(frame.stamp.seq);
  }
  std::optional<Unserved> unserved;
  {
    const MutexLock lock(mu_);
    Mailbox& mailbox = mailboxes_[camera];
    LaneIndex lane = audit_lane;
    std::uint32_t rung = 0;
    if (ladder_) {
      ++mailbox.offered;
      if (frame.edge_density) mailbox.scene.update(*frame.edge_density);
      size_of_model_[scheduled.model] = frame.picture->size;
      rung = static_cast<std::uint32_t>(ladder_->rung_of(camera));
      if (rung > 0) {
        lane = pool_.lane_for(options_.ladders[scheduled.model][rung], frame.picture->size);
      }
    }
    add_lane(std::max(lane, audit_lane));
    mailbox.lane = lane;
    mailbox.next_arrival.reset();
    if (scheduled.period > Duration::zero()) mailbox.next_arrival = now + scheduled.period;
    mailbox.is_inference_owed |= frame.is_scene_start;
    mailbox.is_start_owed |= frame.is_stream_start;
    sampled.is_scene_start = mailbox.is_inference_owed;
    sampled.is_stream_start = mailbox.is_start_owed;
    const bool is_to_wait = inference_policy_.arrive(sampled) != InferencePolicy::Verdict::kCarry;
    if (is_adaptive(camera)) ++period_.sampled;
    Waiting waiting{std::move(frame), lane, audit_lane, rung, now, sampled};
    if (is_stopped_ || !is_to_wait) {
      unserved = unserved_of(camera, std::move(waiting));
    } else {
      if (!mailbox.served_until) mailbox.served_until = waiting.frame.stamp.captured_mono;
      if (mailbox.waiting) unserved = unserved_of(camera, std::move(*mailbox.waiting));
      mailbox.waiting = std::move(waiting);
      ++news_;
    }
  }
  changed_.notify_all();
  if (unserved) settle_unserved(std::move(*unserved));
}

void LiveScheduler::end_camera(CameraIndex camera) {
  {
    const MutexLock lock(mu_);
    mailboxes_[camera].has_ended = true;
    mailboxes_[camera].next_arrival.reset();
    ++news_;
  }
  changed_.notify_all();
}

LiveScheduler::Unserved LiveScheduler::unserved_of(CameraIndex camera, Waiting&& waiting) {
  const FrameStamp& stamp = waiting.frame.stamp;
  return {waiting.audit_lane,
          {.camera = camera,
           .seq = stamp.seq,
           .frame_index = stamp.frame_index,
           .picture = std::move(waiting.frame.picture)}};
}

void LiveScheduler::settle_unserved(Unserved&& unserved) {
  const ScheduledCamera& camera = options_.cameras[unserved.job.camera];
  if (camera.policy == PolicyKind::kFull) {
    camera.ledger->settle_none(unserved.job.seq, DropReason::kSuperseded);
  } else {
    settle_carried(options_, unserved.audit_lane, std::move(unserved.job), clock_.now());
  }
}

void LiveScheduler::take_audit(TimePoint now, AuditDesk::Urgency least,
                               std::vector<InferenceJob>& jobs, LaneIndex& lane) {
  if (options_.audits == nullptr || batches_in_flight_ >= pool_.batches_max()) return;
  const AuditDesk::Urgency urgency = options_.audits->urgency(now);
  if (urgency < least) return;
  const InferenceCause cause =
      urgency == AuditDesk::Urgency::kDue ? InferenceCause::kDueAudit : InferenceCause::kAudit;
  if (!inference_policy_.has_budget(cause)) return;
  std::optional<std::pair<LaneIndex, InferenceJob>> audit = options_.audits->take();
  if (!audit) return;
  inference_policy_.take(cause);
  ++period_.inferred;
  lane = audit->first;
  jobs.push_back(std::move(audit->second));
}

std::optional<TimePoint> LiveScheduler::decide(std::vector<InferenceJob>& jobs, LaneIndex& lane,
                                               std::vector<Unserved>& unserved) {
  const TimePoint now = clock_.now();
  if (options_.audits != nullptr) options_.audits->tick(now);
  update_share(now);
  update_batch(now);
  std::optional<TimePoint> wake_at;
  update_rungs(now, wake_at);
  take_audit(now, AuditDesk::Urgency::kDue, jobs, lane);
  if (!jobs.empty()) {
    count_batch(now, 1);
    batches_due_.push_back(now + times_[lane].mean(bucket_for(jobs.size())));
    return now;
  }
  waiting_.clear();
  expected_.clear();
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    const Mailbox& mailbox = mailboxes_[i];
    const ScheduledCamera& camera = options_.cameras[i];
    if (mailbox.waiting && mailbox.in_flight < in_flight_limit(i)) {
      const Waiting& frame = *mailbox.waiting;
      WaitingFrame candidate{.camera = static_cast<CameraIndex>(i),
                             .model = frame.lane,
                             .priority = camera.priority,
                             .arrived_at = frame.arrived_at,
                             .deadline = frame.frame.stamp.captured_mono + camera.slo,
                             .served_until = *mailbox.served_until,
                             .is_late_useful = camera.policy == PolicyKind::kFull};
      if (is_adaptive(candidate.camera)) {
        if (!inference_policy_.has_budget(inference_policy_.cause_of(frame.sampled))) continue;
        // The policy multiplies by staleness; what is expected to be wrong counts as it is.
        const double staleness_s = std::max(1e-3, to_seconds(now - *mailbox.served_until));
        candidate.need = need_of(frame.sampled) / staleness_s;
      }
      waiting_.push_back(candidate);
    } else if (!mailbox.waiting && mailbox.next_arrival) {
      expected_.push_back({.model = mailbox.lane, .at = *mailbox.next_arrival});
    }
  }
  DeviceState device{.batches_in_flight = batches_in_flight_, .batches_max = pool_.batches_max()};
  if (!batches_due_.empty()) device.free_at = *std::ranges::min_element(batches_due_);
  decide_batch(waiting_, expected_, now, policy_, times_, device, scratch_, decision_);

  for (const std::size_t i : decision_.hopeless) {
    Mailbox& mailbox = mailboxes_[waiting_[i].camera];
    unserved.push_back(unserved_of(waiting_[i].camera, std::move(*mailbox.waiting)));
    mailbox.waiting.reset();
  }
  for (const std::size_t i : decision_.send) {
    const CameraIndex index = waiting_[i].camera;
    const ScheduledCamera& camera = options_.cameras[index];
    Mailbox& mailbox = mailboxes_[index];
    Waiting& waiting = *mailbox.waiting;
    const FrameStamp& stamp = waiting.frame.stamp;
    InferencePurpose purpose = InferencePurpose::kPrimary;
    if (is_adaptive(index)) {
      const InferenceCause cause = inference_policy_.cause_of(waiting.sampled);
      if (!inference_policy_.has_budget(cause)) continue;  // another of the batch took it
      inference_policy_.take(cause);
      ++period_.inferred;
      if (cause != InferenceCause::kNeed) purpose = InferencePurpose::kForced;
    }
    if (options_.audits != nullptr) options_.audits->count_inference();
    // Under the lock, so for the one policy only that asks for it.
    if (camera.policy == PolicyKind::kSimilarity) camera.ledger->note_sent(stamp.seq);
    lane = waiting.lane;
    mailbox.served_until = stamp.captured_mono;
    mailbox.is_inference_owed = false;
    mailbox.is_start_owed = false;
    ++mailbox.in_flight;
    jobs.push_back({index, stamp.seq, stamp.frame_index, std::move(waiting.frame.picture), purpose,
                    waiting.rung});
    if (ladder_) {
      sent_of_lane_.resize(times_.size());
      ++sent_of_lane_[lane];
    }
    if (is_adaptive(index)) {
      mailbox.awaited = Awaited{stamp.captured_mono + camera.slo - kGiveUpBefore,
                                waiting.audit_lane, jobs.back()};
    }
    mailbox.waiting.reset();
  }
  if (jobs.empty()) take_audit(now, AuditDesk::Urgency::kWaiting, jobs, lane);
  if (!jobs.empty()) {
    count_batch(now, 1);
    batches_due_.push_back(now + times_[lane].mean(bucket_for(jobs.size())));
  }
  if (decision_.wake_at)
    wake_at = std::min(wake_at.value_or(*decision_.wake_at), *decision_.wake_at);
  give_up_behind_batches(now, unserved, wake_at);
  give_up_overdue(now, unserved, wake_at);
  give_up_needless(unserved);
  return wake_at;
}

void LiveScheduler::add_lane(LaneIndex lane) {
  while (times_.size() <= lane) times_.push_back(times_.empty() ? ServiceTimes{} : times_.front());
  for (auto i = static_cast<LaneIndex>(knees_.size()); i <= lane; ++i) {
    std::size_t knee = sizer_ ? sizer_->frames() : options_.knee_frames;
    if (i < options_.lane_knees.size() && options_.lane_knees[i] > 0) knee = options_.lane_knees[i];
    knees_.push_back(std::min(knee, pool_.batch_max(i)));
  }
  policy_.knee_of_model = knees_;
}

std::size_t LiveScheduler::knee_max() const {
  return knees_.empty() ? options_.knee_frames : *std::ranges::max_element(knees_);
}

void LiveScheduler::update_batch(TimePoint now) {
  if (!sizer_ || now - utilisation_since_ < kUtilisationWindow) return;
  count_batch(now, 0);
  const double slots = static_cast<double>(pool_.batches_max());
  const double utilisation = to_seconds(busy_) / (slots * to_seconds(now - utilisation_since_));
  busy_ = Duration::zero();
  utilisation_since_ = now;
  const std::size_t frames = sizer_->update(now, utilisation);
  for (LaneIndex lane = 0; lane < knees_.size(); ++lane) {
    knees_[lane] = std::min(frames, pool_.batch_max(lane));
  }
}

SchedulerStatus LiveScheduler::status() const {
  const MutexLock lock(mu_);
  SchedulerStatus status{.batch_frames = knee_max()};
  if (!ladder_) return status;
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    status.rungs.push_back(
        {ladder_->rung_of(static_cast<CameraIndex>(i)), mailboxes_[i].rung_changes});
  }
  return status;
}

double LiveScheduler::demand_of(std::size_t index, Duration window) const {
  const ScheduledCamera& camera = options_.cameras[index];
  double share = 1;
  if (camera.policy == PolicyKind::kHold) share = options_.inference_share;
  if (camera.policy == PolicyKind::kAdaptive && camera.priority != Priority::kCritical) {
    share = kShareWithoutTarget;
    if (options_.audits != nullptr) {
      share = options_.audits->share_wanted().value_or(kShareWithoutTarget);
    }
    share = std::min(share, options_.inference_share);
  }
  return share * static_cast<double>(mailboxes_[index].offered) / to_seconds(window);
}

double LiveScheduler::cost_s(const ServiceTimes& times, LaneIndex lane) const {
  const std::size_t frames = knees_[lane];
  return to_seconds(times.mean(bucket_for(frames))) / static_cast<double>(frames);
}

void LiveScheduler::update_costs(std::size_t model) {
  const std::vector<std::size_t>& rungs = options_.ladders[model];
  costs_[model].assign(rungs.size(), Duration::zero());
  if (size_of_model_[model].width == 0) return;
  // What else the machine does slows all rungs alike, but only those in use show it.
  double now_s = 0;
  double measured_s = 0;
  for (std::size_t i = 0; i < rungs.size(); ++i) {
    const LaneIndex lane = pool_.lane_for(rungs[i], size_of_model_[model]);
    add_lane(lane);
    if (lane >= options_.lane_times.size()) continue;
    const double measured = cost_s(options_.lane_times[lane], lane);
    costs_[model][i] = from_seconds(measured);
    sent_of_lane_.resize(times_.size());
    const auto sent = static_cast<double>(sent_of_lane_[lane]);
    now_s += sent * cost_s(times_[lane], lane);
    measured_s += sent * measured;
  }
  if (now_s > 0 && measured_s > 0) slowdown_[model] = now_s / measured_s;
  for (Duration& cost : costs_[model]) cost = from_seconds(to_seconds(cost) * slowdown_[model]);
}

void LiveScheduler::update_rungs(TimePoint now, std::optional<TimePoint>& wake_at) {
  if (!ladder_) return;
  const Duration window = now - window_since_;
  if (window < kLadderWindow) {
    wake_at = window_since_ + kLadderWindow;
    return;
  }
  for (std::size_t model = 0; model < options_.ladders.size(); ++model) update_costs(model);
  std::vector<CameraDemand> demand;
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    demand.push_back({demand_of(i, window), mailboxes_[i].scene.kind()});
    mailboxes_[i].offered = 0;
  }
  sent_of_lane_.assign(times_.size(), 0);
  window_since_ = now;
  wake_at = now + kLadderWindow;
  std::vector<RungChange> changes;
  ladder_->decide(now, demand, costs_, static_cast<double>(pool_.batches_max()), changes);
  if (changes.empty()) return;
  for (const RungChange& change : changes) ++mailboxes_[change.camera].rung_changes;
  const auto down =
      std::ranges::count_if(changes, [](const RungChange& c) { return c.to > c.from; });
  spdlog::info(
      "ladder: {} cameras to a cheaper rung, {} to a better one; the device is {:.0f} % "
      "occupied by what they ask for",
      down, static_cast<std::ptrdiff_t>(changes.size()) - down, 100 * ladder_->occupancy());
}

void LiveScheduler::count_batch(TimePoint now, int change) {
  busy_ += (now - busy_until_) * static_cast<std::int64_t>(batches_in_flight_);
  busy_until_ = now;
  batches_in_flight_ += static_cast<std::size_t>(change);
  if (full_since_) period_.full += now - std::max(*full_since_, period_.began_at);
  full_since_.reset();
  if (batches_in_flight_ >= pool_.batches_max()) full_since_ = now;
}

void LiveScheduler::update_share(TimePoint now) {
  if (options_.audits == nullptr || !options_.audits->is_share_due(now)) return;
  std::optional<double> share_managed;
  if (full_since_) period_.full += now - std::max(*full_since_, period_.began_at);
  const Duration length = now - period_.began_at;
  if (period_.sampled > 0 && to_seconds(period_.full) >= kFullShare * to_seconds(length)) {
    share_managed = static_cast<double>(period_.inferred) / static_cast<double>(period_.sampled);
  }
  inference_policy_.set_adaptive_share(options_.audits->update_share(now, share_managed));
  period_ = {.began_at = now};
}

double LiveScheduler::need_of(const SampledFrame& sampled) const {
  return inference_policy_.cause_of(sampled) == InferenceCause::kNeed
             ? inference_policy_.need(sampled)
             : kMustInfer;
}

void LiveScheduler::give_up_overdue(TimePoint now, std::vector<Unserved>& unserved,
                                    std::optional<TimePoint>& wake_at) {
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    const auto camera = static_cast<CameraIndex>(i);
    Mailbox& mailbox = mailboxes_[i];
    if (!is_adaptive(camera)) continue;
    const auto look_at = [&](TimePoint at) { wake_at = wake_at ? std::min(*wake_at, at) : at; };
    if (mailbox.awaited) {
      if (now >= mailbox.awaited->give_up_at) {
        unserved.push_back({mailbox.awaited->audit_lane, std::move(mailbox.awaited->job)});
        mailbox.awaited.reset();
      } else {
        look_at(mailbox.awaited->give_up_at);
      }
    }
    if (mailbox.waiting) {  // for the budget, or behind the one above
      const FrameStamp& stamp = mailbox.waiting->frame.stamp;
      const TimePoint give_up_at = stamp.captured_mono + options_.cameras[i].slo - kGiveUpBefore;
      if (now >= give_up_at) {
        unserved.push_back(unserved_of(camera, std::move(*mailbox.waiting)));
        mailbox.waiting.reset();
      } else {
        look_at(give_up_at);
      }
    }
  }
}

void LiveScheduler::give_up_needless(std::vector<Unserved>& unserved) {
  by_need_.clear();
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    const auto camera = static_cast<CameraIndex>(i);
    const Mailbox& mailbox = mailboxes_[i];
    if (!is_adaptive(camera) || !mailbox.waiting || mailbox.in_flight > 0) continue;
    by_need_.emplace_back(
        need_of(mailbox.waiting->sampled) * priority_weight(options_.cameras[i].priority), camera);
  }
  const std::size_t keep = kContestants * pool_.batches_max() * knee_max();
  if (by_need_.size() <= keep) return;
  std::ranges::sort(by_need_, std::greater<>{});
  for (std::size_t i = keep; i < by_need_.size(); ++i) {
    if (by_need_[i].first >= kMustInfer) continue;
    Mailbox& mailbox = mailboxes_[by_need_[i].second];
    unserved.push_back(unserved_of(by_need_[i].second, std::move(*mailbox.waiting)));
    mailbox.waiting.reset();
  }
}

void LiveScheduler::give_up_behind_batches(TimePoint now, std::vector<Unserved>& unserved,
                                           std::optional<TimePoint>& wake_at) {
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    Mailbox& mailbox = mailboxes_[i];
    if (!mailbox.waiting || mailbox.in_flight < in_flight_limit(i)) continue;
    if (options_.cameras[i].policy == PolicyKind::kFull) continue;  // late is better than none
    const TimePoint last_start = mailbox.waiting->frame.stamp.captured_mono +
                                 options_.cameras[i].slo - policy_.post_time -
                                 times_[mailbox.waiting->lane].p95(1);
    if (now > last_start) {
      unserved.push_back(unserved_of(static_cast<CameraIndex>(i), std::move(*mailbox.waiting)));
      mailbox.waiting.reset();
    } else {
      const TimePoint look_again = last_start + Duration(1);
      wake_at = wake_at ? std::min(*wake_at, look_again) : look_again;
    }
  }
}

void LiveScheduler::run() {
  std::uint64_t news_seen = 0;
  std::optional<TimePoint> wake_at;
  while (true) {
    std::vector<InferenceJob> jobs;
    std::vector<Unserved> unserved;
    LaneIndex lane = 0;
    {
      const MutexLock lock(mu_);
      while (news_ == news_seen && !is_stopped_) {
        if (wake_at && clock_.now() >= *wake_at) break;
        if (wake_at) {
          changed_.wait_for(mu_, *wake_at - clock_.now());
        } else {
          changed_.wait(mu_);
        }
      }
      if (is_stopped_) return;
      news_seen = news_;
      wake_at = decide(jobs, lane, unserved);
      if (!jobs.empty()) --news_seen;  // there may be room for another batch: ask again at once
    }
    for (Unserved& frame : unserved) {
      const CameraIndex camera = frame.job.camera;
      settle_unserved(std::move(frame));
      if (is_adaptive(camera)) look_again(camera);
    }
    if (!jobs.empty()) {
      pool_.submit(lane, std::move(jobs), [this, lane](BatchOutcome&& outcome) {
        on_batch_done(lane, std::move(outcome));
      });
    }
    if (!unserved.empty()) changed_.notify_all();  // a drain may wait for it
  }
}

void LiveScheduler::on_batch_done(LaneIndex lane, BatchOutcome&& outcome) {
  const bool has_succeeded = outcome.detections.has_value();
  const Duration service_time = outcome.service_time;
  std::vector<InferredFrame> frames = take_apart(std::move(outcome));
  const std::size_t bucket = bucket_for(frames.size());
  std::vector<CameraIndex> cameras;
  for (InferredFrame& frame : frames) {
    const CameraIndex camera = frame.job.camera;
    const std::int64_t seq = frame.job.seq;
    if (frame.job.purpose == InferencePurpose::kAudit) {
      const std::uint32_t rung = frame.job.rung;
      const std::optional<AgreementCounts> counts = options_.audits->settle(
          std::move(frame.job), std::move(frame.detections), std::move(frame.variant));
      if (counts && rung > 0) {
        const MutexLock lock(mu_);
        if (ladder_) ladder_->learn(camera, rung, *counts);
      }
      look_again(camera);
      continue;
    }
    cameras.push_back(camera);
    std::optional<Awaited> awaited;
    if (is_adaptive(camera)) {  // from here on the frame is not given up
      const MutexLock lock(mu_);
      Mailbox& mailbox = mailboxes_[camera];
      if (mailbox.awaited && mailbox.awaited->job.seq == seq) awaited.swap(mailbox.awaited);
    }
    bool is_drawn = false;
    if (awaited && frame.job.rung > 0 && frame.detections && options_.audits != nullptr) {
      is_drawn = options_.audits->draw_inferred(awaited->audit_lane, std::move(awaited->job),
                                                clock_.now());
    }
    const std::optional<Correction> correction =
        settle_inferred(options_.cameras[camera], std::move(frame), is_drawn);
    if (!is_adaptive(camera)) continue;
    if (correction) {
      const MutexLock lock(mu_);
      inference_policy_.learn(camera, correction->doubt, correction->counts);
    }
    if (correction && options_.audits != nullptr) options_.audits->learn(*correction);
    look_again(camera);
  }
  // Told under the lock: once it is released, whoever waits for the last batch may destroy this.
  const MutexLock lock(mu_);
  if (has_succeeded) times_[lane].record(bucket, service_time);
  for (const CameraIndex camera : cameras) --mailboxes_[camera].in_flight;
  count_batch(clock_.now(), -1);
  if (!batches_due_.empty()) batches_due_.pop_front();
  ++news_;
  changed_.notify_all();
}

void LiveScheduler::look_again(CameraIndex camera) {
  std::optional<std::int64_t> seq;
  {
    const MutexLock lock(mu_);
    const Mailbox& mailbox = mailboxes_[camera];
    if (mailbox.waiting) seq = mailbox.waiting->frame.stamp.seq;
  }
  if (!seq) return;
  const std::optional<FrameOutlook> outlook = options_.cameras[camera].ledger->look(*seq);
  if (!outlook) return;
  const MutexLock lock(mu_);
  Mailbox& mailbox = mailboxes_[camera];
  if (mailbox.waiting && mailbox.waiting->frame.stamp.seq == *seq) {
    mailbox.waiting->sampled.doubt = outlook->doubt;
  }
}

bool LiveScheduler::is_drained() const {
  return batches_in_flight_ == 0 &&
         std::ranges::none_of(mailboxes_, [](const Mailbox& m) { return m.waiting.has_value(); });
}

void LiveScheduler::wait_until_done() {
  const MutexLock lock(mu_);
  while (!is_stopped_) {
    const bool have_all_ended =
        std::ranges::all_of(mailboxes_, [](const Mailbox& m) { return m.has_ended; });
    if (have_all_ended && is_drained()) return;
    changed_.wait(mu_);
  }
}

void LiveScheduler::stop(Duration patience) {
  std::vector<Unserved> unserved;
  {
    const MutexLock lock(mu_);
    for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
      if (!is_adaptive(static_cast<CameraIndex>(i)) || !mailboxes_[i].waiting) continue;
      unserved.push_back(
          unserved_of(static_cast<CameraIndex>(i), std::move(*mailboxes_[i].waiting)));
      mailboxes_[i].waiting.reset();
    }
  }
  if (options_.audits != nullptr) options_.audits->close();
  for (Unserved& frame : unserved) settle_unserved(std::move(frame));
  unserved.clear();
  {
    const MutexLock lock(mu_);
    const auto give_up_at = std::chrono::steady_clock::now() + patience;
    while (!is_stopped_ && !is_drained()) {
      if (changed_.wait_until(mu_, give_up_at) == std::cv_status::timeout) break;
    }
    is_stopped_ = true;
    for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
      if (!mailboxes_[i].waiting) continue;
      unserved.push_back(
          unserved_of(static_cast<CameraIndex>(i), std::move(*mailboxes_[i].waiting)));
      mailboxes_[i].waiting.reset();
    }
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const Unserved& frame : unserved) {
    options_.cameras[frame.job.camera].ledger->settle_none(frame.job.seq, DropReason::kLate);
  }
}

}  // namespace framemill
