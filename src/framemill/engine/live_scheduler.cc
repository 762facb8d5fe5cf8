#include "framemill/engine/live_scheduler.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "framemill/base/check.h"
#include "framemill/base/thread_name.h"
#include "framemill/engine/trace_writer.h"

namespace framemill {
namespace {

/// Words about a budget that is too small come no more often.
constexpr Duration kBudgetQuiet = std::chrono::minutes(1);

LiveDispatchOptions dispatch_options(const FrameSchedulerOptions& options, const DevicePool& pool) {
  LiveDispatchOptions dispatch{.inference = policy_options(options),
                               .knee_frames = options.knee_frames,
                               .is_batch_by_utilisation = options.is_batch_by_utilisation,
                               .devices = options.devices,
                               .is_slot_reserved = options.is_slot_reserved};
  dispatch.devices.resize(pool.device_count());
  for (DeviceIndex i = 0; i < pool.device_count(); ++i) {
    dispatch.devices[i].batches_max = pool.batches_max(i);
  }
  if (dispatch.devices.size() == 1) {  // as it is told of one
    DispatchDevice& device = dispatch.devices.front();
    dispatch.batches_max = device.batches_max;
    dispatch.lane_knees = std::move(device.lane_knees);
    dispatch.lane_times = std::move(device.lane_times);
    dispatch.devices.clear();
  }
  for (const ScheduledCamera& camera : options.cameras) {
    dispatch.cameras.push_back(
        {camera.policy, camera.priority, camera.slo, camera.period, camera.model, camera.weight});
  }
  for (const std::vector<std::size_t>& rungs : options.ladders) {
    dispatch.rungs_of_model.push_back(rungs.size());
  }
  return dispatch;
}

/// The dispatch, and its trace where one is wanted.
TracedDispatch make_dispatch(const FrameSchedulerOptions& options, const DevicePool& pool,
                             TimePoint now) {
  LiveDispatchOptions dispatch = dispatch_options(options, pool);
  DispatchRecorder recorder = options.on_dispatch;
  if (options.trace != nullptr) {
    options.trace->begin(dispatch, now);
    recorder = [trace = options.trace, also = options.on_dispatch](DispatchRecord&& record) {
      if (also) also(DispatchRecord(record));
      trace->add(std::move(record));
    };
  }
  return {std::move(dispatch), now, std::move(recorder)};
}

std::optional<InferenceCause> audit_cause(AuditDesk::Urgency urgency) {
  switch (urgency) {
    case AuditDesk::Urgency::kNone:
      return std::nullopt;
    case AuditDesk::Urgency::kWaiting:
      return InferenceCause::kAudit;
    case AuditDesk::Urgency::kDue:
      return InferenceCause::kDueAudit;
  }
  return std::nullopt;
}

}  // namespace

LiveScheduler::LiveScheduler(FrameSchedulerOptions options, DevicePool& pool, const Clock& clock)
    : options_(std::move(options)),
      pool_(pool),
      clock_(clock),
      dispatch_(make_dispatch(options_, pool, clock_.now())),
      budget_(budget_pace(options_)),
      mailboxes_(options_.cameras.size()),
      size_of_model_(options_.ladders.size()) {
  for (const ScheduledCamera& camera : options_.cameras) cameras_.append(camera);
  thread_ = std::thread([this] { run(); });
}

LiveScheduler::~LiveScheduler() { stop(Duration::zero()); }

void LiveScheduler::offer(CameraIndex camera, Frame&& frame) {
  const ScheduledCamera& scheduled = cameras_[camera];
  const FrameStamp& stamp = frame.stamp;
  const Size size = frame.picture->size;
  const LaneIndex audit_lane = pool_.lane_for(scheduled.model, size);
  const TimePoint now = clock_.now();
  ArrivedFrame arrived{.sampled = {.camera = camera,
                                   .is_stream_start = frame.is_stream_start,
                                   .is_scene_start = frame.is_scene_start},
                       .seq = stamp.seq,
                       .captured_at = stamp.captured_mono,
                       .lane = audit_lane,
                       .edge_density = frame.edge_density};
  if (is_adaptive(camera)) {
    // What waited is answered before the objects can be carried on to this frame.
    std::optional<Held> replaced;
    {
      const MutexLock lock(mu_);
      if (const auto seq = dispatch_.withdraw(camera)) replaced = take(camera, *seq);
    }
    if (replaced) settle_unserved(std::move(*replaced));
    if (const auto outlook = scheduled.ledger->look(stamp.seq))
      arrived.sampled.doubt = outlook->doubt;
  } else if (scheduled.policy == PolicyKind::kSimilarity) {
    arrived.sampled.similarity = scheduled.ledger->similarity(stamp.seq);
    arrived.sampled.complexity = scheduled.ledger->complexity(stamp.seq);
  }
  std::optional<Held> unserved;
  bool is_drain_awaited = false;
  {
    const MutexLock lock(mu_);
    is_drain_awaited = is_drain_awaited_;
    follow_rate(camera, arrived.captured_at);
    if (dispatch_.has_ladder()) {
      size_of_model_[scheduled.model] = size;
      const std::uint32_t rung = dispatch_.rung_of(camera);
      if (rung > 0) {
        arrived.lane = pool_.lane_for(options_.ladders[scheduled.model][rung], size);
      }
    }
    add_lanes(std::max(arrived.lane, audit_lane));
    Held held{audit_lane,
              {.camera = camera,
               .seq = stamp.seq,
               .frame_index = stamp.frame_index,
               .picture = std::move(frame.picture)}};
    if (is_stopped_) {
      unserved = std::move(held);
    } else if (is_given_up(arrived)) {
      held.is_device_out = true;
      unserved = std::move(held);
    } else {
      if (is_adaptive(camera)) learn_need(camera, dispatch_.need(arrived.sampled));
      const std::optional<std::int64_t> seq = dispatch_.arrive(arrived, now);
      if (seq == arrived.seq) {
        unserved = std::move(held);
      } else {
        if (seq) unserved = take(camera, *seq);
        mailboxes_[camera].waiting = std::move(held);
        ++news_;
      }
    }
  }
  changed_.notify_one();
  if (unserved) settle_unserved(std::move(*unserved));
  if (is_drain_awaited) settled_.notify_all();
}

void LiveScheduler::end_camera(CameraIndex camera) {
  {
    const MutexLock lock(mu_);
    mailboxes_[camera].has_ended = true;
    dispatch_.end_camera(camera);
    ++news_;
  }
  changed_.notify_one();
  settled_.notify_all();
}

void LiveScheduler::begin_changes() {
  const MutexLock lock(mu_);
  ++changes_;
}

void LiveScheduler::end_changes() {
  {
    const MutexLock lock(mu_);
    --changes_;
  }
  settled_.notify_all();
}

void LiveScheduler::add_camera(const ScheduledCamera& camera) {
  {
    const MutexLock lock(mu_);
    cameras_.append(camera);
    if (budget_) framemill::add_camera(*budget_, camera);
    mailboxes_.emplace_back();
    dispatch_.add_camera(
        {camera.policy, camera.priority, camera.slo, camera.period, camera.model, camera.weight});
    ++news_;
  }
  changed_.notify_one();
}

void LiveScheduler::remove_camera(CameraIndex camera) {
  std::optional<Held> waiting;
  {
    const MutexLock lock(mu_);
    if (const auto seq = dispatch_.withdraw(camera)) waiting = take(camera, *seq);
    dispatch_.remove_camera(camera);
    if (budget_) budget_->remove_camera(camera);
    mailboxes_[camera].is_removed = true;
    ++news_;
  }
  changed_.notify_one();
  if (waiting) settle_unserved(std::move(*waiting));
  settled_.notify_all();
}

bool LiveScheduler::is_idle(CameraIndex camera) const {
  const MutexLock lock(mu_);
  return dispatch_.is_idle(camera);
}

void LiveScheduler::set_shares(double inference_share, std::optional<double> adaptive_share) {
  const MutexLock lock(mu_);
  if (budget_) {  // knows the rates better
    inference_share = budget_->share();
    adaptive_share = adaptive_share_of(options_, inference_share);
  }
  dispatch_.set_share(inference_share);
  dispatch_.set_adaptive_share(adaptive_share.value_or(inference_share));
  ++news_;
}

double LiveScheduler::budget_share(double by_settings) const {
  const MutexLock lock(mu_);
  return budget_ ? budget_->share() : by_settings;
}

bool LiveScheduler::is_given_up(ArrivedFrame& frame) {
  Mailbox& mailbox = mailboxes_[frame.sampled.camera];
  frame.sampled.is_stream_start |= std::exchange(mailbox.is_start_owed, false);
  frame.sampled.is_scene_start |= std::exchange(mailbox.is_scene_owed, false);
  if (!pool_.is_lane_out(frame.lane)) return false;
  mailbox.is_start_owed = frame.sampled.is_stream_start;
  mailbox.is_scene_owed = frame.sampled.is_scene_start;
  return true;
}

void LiveScheduler::learn_need(CameraIndex camera, double need) {
  constexpr double kWeight = .1;  // of the newest
  std::optional<double>& mean = mailboxes_[camera].need;
  mean = mean ? *mean + kWeight * (need - *mean) : need;
}

LiveScheduler::Held LiveScheduler::take(CameraIndex camera, std::int64_t seq) {
  Mailbox& mailbox = mailboxes_[camera];
  const bool is_waiting = mailbox.waiting && mailbox.waiting->job.seq == seq;
  std::optional<Held>& slot = is_waiting ? mailbox.waiting : mailbox.awaited;
  CHECK(slot && slot->job.seq == seq);
  Held held = std::move(*slot);
  slot.reset();
  return held;
}

void LiveScheduler::settle_unserved(Held&& unserved) {
  const ScheduledCamera& camera = cameras_[unserved.job.camera];
  if (camera.policy == PolicyKind::kFull) {
    camera.ledger->settle_none(
        unserved.job.seq, unserved.is_device_out ? DropReason::kFailed : DropReason::kSuperseded);
  } else {
    settle_carried(options_.audits, camera, unserved.audit_lane, std::move(unserved.job),
                   clock_.now());
  }
}

void LiveScheduler::look_at_devices() {
  const std::uint64_t version = pool_.version();
  if (version == devices_seen_) return;
  devices_seen_ = version;
  const std::vector<DevicePool::State> states = pool_.states();
  for (DeviceIndex i = 0; i < states.size(); ++i) {
    dispatch_.set_device(clock_.now(), i, states[i].is_serving, states[i].batch_max);
  }
}

std::optional<TimePoint> LiveScheduler::decide(Sending& sending, std::vector<Held>& unserved) {
  look_at_devices();
  const TimePoint now = clock_.now();
  std::optional<InferenceCause> audit;
  if (options_.audits != nullptr) {
    options_.audits->tick(now);
    update_share(now);
    audit = audit_cause(options_.audits->urgency(now));
  }
  update_rungs(now);
  watch_budget(now);
  dispatch_.decide(now, audit, decision_);
  if (decision_.is_audit_wanted) {
    if (std::optional<std::pair<LaneIndex, InferenceJob>> taken = options_.audits->take()) {
      sending.lane = taken->first;
      sending.device = dispatch_.send_audit(now, sending.lane, *audit);
      sending.jobs.push_back(std::move(taken->second));
    }
  }
  if (!decision_.batch.empty()) {
    sending.lane = decision_.lane;
    sending.device = decision_.device;
  }
  for (const SentFrame& sent : decision_.batch) {
    const ScheduledCamera& camera = cameras_[sent.camera];
    Held held = take(sent.camera, sent.seq);
    held.job.rung = sent.rung;
    held.job.purpose = sent.is_forced ? InferencePurpose::kForced : InferencePurpose::kPrimary;
    if (options_.audits != nullptr) options_.audits->count_inference(sent.camera);
    // Under the lock, so for the one policy only that asks for it.
    if (camera.policy == PolicyKind::kSimilarity) camera.ledger->note_sent(sent.seq);
    sending.jobs.push_back(held.job);
    if (is_adaptive(sent.camera)) mailboxes_[sent.camera].awaited = std::move(held);
  }
  for (const UnservedFrame& frame : decision_.unserved) {
    unserved.push_back(take(frame.camera, frame.seq));
    unserved.back().is_device_out = frame.is_device_out;
  }
  return decision_.wake_at;
}

void LiveScheduler::add_lanes(LaneIndex lane) {
  for (auto i = static_cast<LaneIndex>(dispatch_.lane_count()); i <= lane; ++i) {
    dispatch_.add_lane(pool_.batch_max(i),
                       pool_.device_count() > 1 ? pool_.hosts_of_lane(i) : kAllDevices);
  }
}

void LiveScheduler::follow_rate(CameraIndex camera, TimePoint captured_at) {
  if (!budget_) return;
  const std::optional<double> share = budget_->count_frame(camera, captured_at);
  if (!share) return;
  dispatch_.set_share(*share);
  dispatch_.set_adaptive_share(adaptive_share_of(options_, *share));
}

void LiveScheduler::update_share(TimePoint now) {
  if (!options_.audits->is_share_due(now)) return;
  const std::optional<double> share_managed = dispatch_.end_period(now);
  dispatch_.set_adaptive_share(options_.audits->update_share(now, share_managed));
}

void LiveScheduler::watch_budget(TimePoint now) {
  const double over = dispatch_.over_budget();
  if (over < over_budget_told_ + 1 || (budget_quiet_until_ && now < *budget_quiet_until_)) return;
  over_budget_told_ = over;
  budget_quiet_until_ = now + kBudgetQuiet;
  spdlog::warn(
      "budget: of the frames that come now it does not carry the critical cameras alone: they had "
      "{:.0f} inferences beyond it so far, and the others get none; are cameras down, or slower "
      "than their `rate`?",
      over);
}

void LiveScheduler::update_rungs(TimePoint now) {
  if (!dispatch_.is_ladder_due(now)) return;
  std::vector<std::vector<LaneIndex>> lanes(options_.ladders.size());
  for (std::size_t model = 0; model < lanes.size(); ++model) {
    if (size_of_model_[model].width == 0) continue;
    for (const std::size_t rung : options_.ladders[model]) {
      lanes[model].push_back(pool_.lane_for(rung, size_of_model_[model]));
      add_lanes(lanes[model].back());
    }
  }
  const std::optional<double> share_wanted =
      options_.audits != nullptr ? options_.audits->share_wanted() : std::nullopt;
  const std::span<const RungChange> changes = dispatch_.update_rungs(now, lanes, share_wanted);
  if (changes.empty()) return;
  const auto down =
      std::ranges::count_if(changes, [](const RungChange& c) { return c.to > c.from; });
  spdlog::info(
      "ladder: {} cameras to a cheaper rung, {} to a better one; the device is {:.0f} % "
      "occupied by what they ask for",
      down, static_cast<std::ptrdiff_t>(changes.size()) - down, 100 * dispatch_.occupancy());
}

SchedulerStatus LiveScheduler::status() const {
  const MutexLock lock(mu_);
  SchedulerStatus status{.batch_frames = dispatch_.knee_max(),
                         .over_budget = dispatch_.over_budget()};
  status.needs.reserve(mailboxes_.size());
  for (const Mailbox& mailbox : mailboxes_) status.needs.push_back(mailbox.need);
  if (!dispatch_.has_ladder()) return status;
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    const auto camera = static_cast<CameraIndex>(i);
    status.rungs.push_back({dispatch_.rung_of(camera), dispatch_.rung_changes(camera)});
  }
  return status;
}

void LiveScheduler::run() {
  name_this_thread("scheduler");
  std::uint64_t news_seen = 0;
  std::optional<TimePoint> wake_at;
  while (true) {
    Sending sending;
    std::vector<Held> unserved;
    bool is_drain_awaited = false;
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
      wake_at = decide(sending, unserved);
      is_drain_awaited = is_drain_awaited_;
      if (!sending.jobs.empty())
        --news_seen;  // there may be room for another batch: ask again at once
    }
    for (Held& frame : unserved) {
      const CameraIndex camera = frame.job.camera;
      settle_unserved(std::move(frame));
      if (is_adaptive(camera)) look_again(camera);
    }
    if (!sending.jobs.empty()) {
      pool_.submit(sending.device, sending.lane, std::move(sending.jobs),
                   [this, device = sending.device, lane = sending.lane](BatchOutcome&& outcome) {
                     on_batch_done(device, lane, std::move(outcome));
                   });
    }
    if (is_drain_awaited && !unserved.empty()) settled_.notify_all();
  }
}

bool LiveScheduler::give_back(InferenceJob& job, std::optional<Held>& awaited) {
  look_at_devices();
  const CameraIndex camera = job.camera;
  if (is_stopped_ || !dispatch_.give_back(clock_.now(), camera, job.seq)) return false;
  CHECK(awaited || !is_adaptive(camera));
  Held held;
  if (awaited) {
    held = std::move(*awaited);
    awaited.reset();
  } else {
    held.audit_lane = pool_.lane_for(cameras_[camera].model, job.picture->size);  // as in offer()
    held.job = std::move(job);
  }
  mailboxes_[camera].waiting = std::move(held);
  ++news_;
  return true;
}

void LiveScheduler::on_batch_done(DeviceIndex device, LaneIndex lane, BatchOutcome&& outcome) {
  const bool has_succeeded = outcome.detections.has_value();
  const Duration service_time = outcome.service_time;
  std::vector<InferredFrame> frames = take_apart(std::move(outcome));
  const std::size_t frame_count = frames.size();
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
        dispatch_.learn_rung(camera, rung, *counts);
      }
      look_again(camera);
      continue;
    }
    cameras.push_back(camera);
    std::optional<Held> awaited;
    if (is_adaptive(camera) || !has_succeeded) {
      const MutexLock lock(mu_);
      // From here on the frame is not given up.
      if (is_adaptive(camera) && dispatch_.claim(camera, seq)) awaited = take(camera, seq);
      if (!has_succeeded && give_back(frame.job, awaited)) continue;
    }
    const bool is_claimed = awaited.has_value();
    if (is_claimed && !has_succeeded) {  // like any other answer from the state it may be audited
      settle_carried(options_.audits, cameras_[camera], awaited->audit_lane,
                     std::move(awaited->job), clock_.now());
      look_again(camera);
      continue;
    }
    bool is_drawn = false;
    if (awaited && frame.job.rung > 0 && frame.detections && options_.audits != nullptr) {
      is_drawn = options_.audits->draw_inferred(awaited->audit_lane, std::move(awaited->job),
                                                clock_.now());
    }
    const std::optional<Correction> correction =
        settle_inferred(cameras_[camera], std::move(frame), is_drawn);
    if (!is_adaptive(camera)) continue;
    {
      const MutexLock lock(mu_);
      if (correction) {
        dispatch_.learn(camera, correction->doubt, correction->counts);
      } else if (has_succeeded && !is_claimed) {  // discarded: what it owed is owed again
        (void)dispatch_.give_back(clock_.now(), camera, seq);
      }
    }
    if (correction && options_.audits != nullptr) options_.audits->learn(*correction);
    look_again(camera);
  }
  // Told under the lock: once it is released, whoever waits for the last batch may destroy this.
  const MutexLock lock(mu_);
  dispatch_.complete(clock_.now(), lane, frame_count, cameras,
                     has_succeeded ? std::optional(service_time) : std::nullopt, device);
  ++news_;
  changed_.notify_one();
  if (is_drain_awaited_) settled_.notify_all();
}

void LiveScheduler::look_again(CameraIndex camera) {
  std::optional<std::int64_t> seq;
  {
    const MutexLock lock(mu_);
    seq = dispatch_.waiting(camera);
  }
  if (!seq) return;
  const std::optional<FrameOutlook> outlook = cameras_[camera].ledger->look(*seq);
  if (!outlook) return;
  const MutexLock lock(mu_);
  dispatch_.renew_doubt(camera, *seq, outlook->doubt);
}

void LiveScheduler::wait_until_done() {
  const MutexLock lock(mu_);
  while (!is_stopped_) {
    // Where all have been removed, others may come: whoever removed them ends the run.
    const auto has_gone = [](const Mailbox& m) { return m.has_ended || m.is_removed; };
    const auto is_removed = [](const Mailbox& m) { return m.is_removed; };
    const bool have_all_ended =
        std::ranges::all_of(mailboxes_, has_gone) && !std::ranges::all_of(mailboxes_, is_removed);
    if (have_all_ended && changes_ == 0 && dispatch_.is_drained()) return;
    is_drain_awaited_ |= have_all_ended;
    settled_.wait(mu_);
  }
}

void LiveScheduler::stop(Duration patience) {
  std::vector<Held> unserved;
  {
    const MutexLock lock(mu_);
    for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
      const auto camera = static_cast<CameraIndex>(i);
      if (!is_adaptive(camera)) continue;
      if (const auto seq = dispatch_.withdraw(camera)) unserved.push_back(take(camera, *seq));
    }
  }
  if (options_.audits != nullptr) options_.audits->close();
  for (Held& frame : unserved) settle_unserved(std::move(frame));
  unserved.clear();
  {
    const MutexLock lock(mu_);
    const auto give_up_at = std::chrono::steady_clock::now() + patience;
    is_drain_awaited_ = true;
    while (!is_stopped_ && !dispatch_.is_drained()) {
      if (settled_.wait_until(mu_, give_up_at) == std::cv_status::timeout) break;
    }
    is_stopped_ = true;
    for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
      const auto camera = static_cast<CameraIndex>(i);
      if (const auto seq = dispatch_.withdraw(camera)) unserved.push_back(take(camera, *seq));
    }
  }
  changed_.notify_all();
  settled_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const Held& frame : unserved) {
    cameras_[frame.job.camera].ledger->settle_none(frame.job.seq, DropReason::kLate);
  }
}

}  // namespace framemill
