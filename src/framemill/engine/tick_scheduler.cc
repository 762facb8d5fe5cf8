#include "framemill/engine/tick_scheduler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "framemill/base/check.h"
#include "framemill/base/thread_name.h"

namespace framemill {
namespace {

/// How many ticks a camera may be ahead of the one being decided: enough that decoding goes on
/// while the models work.
constexpr std::int64_t kTicksAhead = 2;

TimePoint at_media_time(double seconds) { return TimePoint(from_seconds(seconds)); }

}  // namespace

TickScheduler::TickScheduler(FrameSchedulerOptions options, DevicePool& pool)
    : options_(std::move(options)),
      pool_(pool),
      policy_(policy_options(options_)),
      budget_(budget_pace(options_)),
      budget_share_(options_.inference_share),
      is_cut_owed_(options_.cameras.size()),
      owed_seq_(options_.cameras.size(), -1),
      queues_(options_.cameras.size()),
      batches_of_device_(pool.device_count()),
      thread_([this] { run(); }) {}

TickScheduler::~TickScheduler() { stop(Duration::zero()); }

std::int64_t TickScheduler::tick_of(const Frame& frame) const {
  return static_cast<std::int64_t>(
      std::floor(frame.stamp.pts_s / to_seconds(options_.tick) + 1e-6));
}

void TickScheduler::offer(CameraIndex camera, Frame&& frame) {
  const std::int64_t seq = frame.stamp.seq;
  const LaneIndex lane = pool_.lane_for(options_.cameras[camera].model, frame.picture->size);
  bool is_refused = false;
  {
    const MutexLock lock(mu_);
    CameraQueue& queue = queues_[camera];
    // Broken timestamps may go back; a tick that has been decided does not open again.
    const std::int64_t tick = std::max({tick_of(frame), queue.last_tick, tick_});
    queue.last_tick = tick;
    changed_.notify_all();
    while (!is_draining_ && tick > tick_ + kTicksAhead) changed_.wait(mu_);
    is_refused = is_draining_;
    if (!is_refused) queue.frames.push_back({camera, tick, lane, std::move(frame)});
  }
  changed_.notify_all();
  if (is_refused) options_.cameras[camera].ledger->settle_none(seq, DropReason::kLate);
}

void TickScheduler::end_camera(CameraIndex camera) {
  {
    const MutexLock lock(mu_);
    queues_[camera].has_ended = true;
  }
  changed_.notify_all();
}

std::vector<TickScheduler::Waiting> TickScheduler::take_tick() {
  const MutexLock lock(mu_);
  while (!is_stopped_) {
    // A camera is past the tick once it has offered a frame of a later one.
    bool is_complete = true;
    bool have_all_ended = true;
    std::int64_t next_tick = INT64_MAX;
    for (const CameraQueue& queue : queues_) {
      const bool is_past = queue.has_ended || is_draining_;
      if (!is_past && queue.last_tick <= tick_) is_complete = false;
      have_all_ended &= is_past;
      if (!queue.frames.empty()) next_tick = std::min(next_tick, queue.frames.front().tick);
      // Its next frame is known to be there, though it still waits in offer().
      if (!is_past) next_tick = std::min(next_tick, std::max(queue.last_tick, tick_));
    }
    if (!is_complete) {
      changed_.wait(mu_);
      continue;
    }
    std::vector<Waiting> taken;
    for (CameraQueue& queue : queues_) {
      while (!queue.frames.empty() && queue.frames.front().tick <= tick_) {
        taken.push_back(std::move(queue.frames.front()));
        queue.frames.pop_front();
      }
    }
    if (taken.empty() && have_all_ended && next_tick == INT64_MAX) return taken;
    tick_ = taken.empty() ? std::max(tick_ + 1, next_tick) : tick_ + 1;
    changed_.notify_all();
    if (taken.empty()) continue;
    std::ranges::stable_sort(taken, [](const Waiting& a, const Waiting& b) {
      return a.frame.stamp.pts_s != b.frame.stamp.pts_s ? a.frame.stamp.pts_s < b.frame.stamp.pts_s
                                                        : a.camera < b.camera;
    });
    return taken;
  }
  return {};
}

void TickScheduler::run() {
  name_this_thread("scheduler");
  const double tick_s = to_seconds(options_.tick);
  std::vector<bool> is_in_step(options_.cameras.size());
  while (true) {
    std::vector<Waiting> frames = take_tick();
    if (frames.empty()) break;
    double media_s = static_cast<double>(frames.front().tick) * tick_s;
    // A camera's second frame in a tick is chosen with the first one's result in hand.
    for (std::size_t begin = 0; begin < frames.size();) {
      is_in_step.assign(is_in_step.size(), false);
      std::size_t end = begin;
      while (end < frames.size() && !is_in_step[frames[end].camera]) {
        is_in_step[frames[end++].camera] = true;
      }
      if (begin > 0) media_s = std::max(media_s, frames[begin].frame.stamp.pts_s);
      use_results(media_s);
      decide(std::span(frames).subspan(begin, end - begin), media_s);
      begin = end;
    }
  }
  if (options_.audits != nullptr) end_audits();
  use_results(std::numeric_limits<double>::infinity());
  std::vector<Sent> left;
  {
    const MutexLock lock(mu_);
    is_over_ = true;
    left.swap(sent_);
  }
  for (Sent& sent : left) {
    if (sent.result) use(std::move(*sent.result), sent.is_owed);
  }
  const MutexLock lock(mu_);
  while (batches_in_flight_ > 0 && !is_stopped_) changed_.wait(mu_);
  is_done_ = true;
  changed_.notify_all();
}

void TickScheduler::use_results(double media_s) {
  struct Event {
    double at_s = 0;
    std::optional<InferredFrame> result;  // none: the frame is given up
    LaneIndex lane = 0;
    InferenceJob job;
    bool is_owed = false;
  };
  std::vector<Event> due;
  {
    const MutexLock lock(mu_);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < sent_.size(); ++i) {
      // Each look anew: waiting lets go of the lock.
      while (sent_[i].usable_at_s <= media_s && !sent_[i].result && !is_stopped_) {
        changed_.wait(mu_);
      }
      Sent& sent = sent_[i];
      if (!sent.is_given_up && sent.give_up_at_s <= media_s &&
          sent.give_up_at_s < sent.usable_at_s) {
        sent.is_given_up = true;
        due.push_back({sent.give_up_at_s, std::nullopt, sent.lane, sent.job, false});
      }
      if (sent.usable_at_s <= media_s && sent.result) {
        // A frame whose inference failed is answered like those that are given up.
        if (!sent.is_given_up && !sent.result->detections) sent.result.reset();
        due.push_back({sent.usable_at_s, std::move(sent.result), sent.lane, std::move(sent.job),
                       sent.is_owed});
        continue;
      }
      if (kept != i) sent_[kept] = std::move(sent);
      ++kept;
    }
    sent_.resize(kept);
  }
  // As it would have been: no answer sees a result that came after it.
  std::ranges::stable_sort(due, {}, &Event::at_s);
  for (Event& event : due) {
    if (event.result) {
      use(std::move(*event.result), event.is_owed);
    } else {
      const ScheduledCamera& camera = options_.cameras[event.job.camera];
      if (event.is_owed) owe_again(event.job.camera, event.job.seq);
      settle_carried(options_.audits, camera, event.lane, std::move(event.job),
                     at_media_time(media_s));
    }
  }
}

void TickScheduler::use(InferredFrame&& frame, bool is_owed) {
  if (frame.job.purpose == InferencePurpose::kAudit) {
    options_.audits->settle(std::move(frame.job), std::move(frame.detections),
                            std::move(frame.variant));
    return;
  }
  const CameraIndex camera = frame.job.camera;
  const std::int64_t seq = frame.job.seq;
  const std::optional<Correction> correction =
      settle_inferred(options_.cameras[camera], std::move(frame));
  if (!correction) {
    if (is_owed) owe_again(camera, seq);
    return;
  }
  policy_.learn(camera, correction->doubt, correction->counts);
  if (options_.audits != nullptr) options_.audits->learn(*correction);
}

void TickScheduler::owe_again(CameraIndex camera, std::int64_t seq) {
  // A later scene may have been looked at since.
  if (owed_seq_[camera] == seq) is_cut_owed_[camera] = true;
}

void TickScheduler::follow_rates(std::span<const Waiting> frames) {
  if (!budget_) return;
  std::optional<double> share;
  for (const Waiting& waiting : frames) {
    const auto changed =
        budget_->count_frame(waiting.camera, at_media_time(waiting.frame.stamp.pts_s));
    if (changed) share = changed;
  }
  if (!share) return;
  budget_share_ = *share;
  policy_.set_share(*share);
  policy_.set_adaptive_share(adaptive_share_of(options_, *share));
}

void TickScheduler::decide(std::span<Waiting> frames, double media_s) {
  follow_rates(frames);
  sampled_.clear();
  for (const Waiting& waiting : frames) {
    const ScheduledCamera& camera = options_.cameras[waiting.camera];
    SampledFrame& sampled = sampled_.emplace_back();
    sampled.camera = waiting.camera;
    sampled.is_stream_start = waiting.frame.is_stream_start;
    sampled.is_scene_start = waiting.frame.is_scene_start || is_cut_owed_[waiting.camera];
    if (camera.policy == PolicyKind::kSimilarity) {
      sampled.similarity = camera.ledger->similarity(waiting.frame.stamp.seq);
      sampled.complexity = camera.ledger->complexity(waiting.frame.stamp.seq);
    } else if (camera.policy == PolicyKind::kAdaptive) {
      const std::optional<FrameOutlook> outlook = camera.ledger->look(waiting.frame.stamp.seq);
      sampled.is_choosable = outlook.has_value();
      if (outlook) sampled.doubt = outlook->doubt;
    }
  }
  std::size_t audits = 0;
  std::size_t due = 0;
  if (options_.audits != nullptr) {
    const TimePoint now = at_media_time(media_s);
    options_.audits->tick(now);
    if (options_.audits->is_share_due(now)) {
      policy_.set_adaptive_share(options_.audits->update_share(now, std::nullopt));
    }
    audits = options_.audits->waiting();
    // One at a time has precedence: more would leave nothing to need after a rush.
    due = options_.audits->urgency(now) == AuditDesk::Urgency::kDue ? 1 : 0;
  }
  audits = policy_.choose(sampled_, audits, due, is_inferred_);
  std::vector<Waiting> to_infer;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const ScheduledCamera& camera = options_.cameras[frames[i].camera];
    // One that found no token, or another frame of its camera at the model, asks again.
    is_cut_owed_[frames[i].camera] = sampled_[i].is_scene_start && !is_inferred_[i];
    if (!is_inferred_[i]) {
      const FrameStamp& stamp = frames[i].frame.stamp;
      settle_carried(options_.audits, camera, frames[i].lane,
                     {.camera = frames[i].camera,
                      .seq = stamp.seq,
                      .frame_index = stamp.frame_index,
                      .picture = std::move(frames[i].frame.picture)},
                     at_media_time(media_s));
      continue;
    }
    if (options_.audits != nullptr) options_.audits->count_inference(frames[i].camera);
    if (camera.policy == PolicyKind::kAdaptive &&
        policy_.cause_of(sampled_[i]) != InferenceCause::kNeed) {
      frames[i].purpose = InferencePurpose::kForced;
    }
    frames[i].is_owed = sampled_[i].is_scene_start;
    if (frames[i].is_owed) owed_seq_[frames[i].camera] = frames[i].frame.stamp.seq;
    frames[i].is_alone = policy_.is_alone(sampled_[i]);
    camera.ledger->note_sent(frames[i].frame.stamp.seq);
    to_infer.push_back(std::move(frames[i]));
  }
  send(to_infer);
  send_audits(media_s, audits);
}

void TickScheduler::send(std::vector<Waiting>& frames) {
  // Batches of one lane each, in the order of the tick.
  std::size_t left = frames.size();
  std::vector<bool> is_sent(frames.size(), false);
  while (left > 0) {
    const auto first = static_cast<std::size_t>(std::find(is_sent.begin(), is_sent.end(), false) -
                                                is_sent.begin());
    const LaneIndex lane = frames[first].lane;
    std::vector<InferenceJob> jobs;
    std::vector<Sent> sent;
    const std::size_t jobs_max = std::min(options_.knee_frames, pool_.batch_max(lane));
    for (std::size_t i = first; i < frames.size() && jobs.size() < jobs_max; ++i) {
      if (is_sent[i] || frames[i].lane != lane) continue;
      const bool is_alone = frames[i].is_alone;
      if (is_alone && i != first) continue;
      is_sent[i] = true;
      --left;
      Waiting& waiting = frames[i];
      const FrameStamp& stamp = waiting.frame.stamp;
      const ScheduledCamera& camera = options_.cameras[waiting.camera];
      jobs.push_back({waiting.camera, stamp.seq, stamp.frame_index,
                      std::move(waiting.frame.picture), waiting.purpose});
      if (camera.policy == PolicyKind::kAdaptive) {
        sent.push_back({.usable_at_s = stamp.pts_s + to_seconds(options_.answer_delay),
                        .give_up_at_s = stamp.pts_s + to_seconds(camera.slo - kGiveUpBefore),
                        .is_owed = waiting.is_owed,
                        .lane = lane,
                        .job = jobs.back()});
      }
      if (is_alone) break;
    }
    if (submit(lane, jobs, sent)) continue;
    for (const InferenceJob& job : jobs) {
      options_.cameras[job.camera].ledger->settle_none(job.seq, DropReason::kLate);
    }
  }
}

void TickScheduler::send_audits(double media_s, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::optional<std::pair<LaneIndex, InferenceJob>> audit = options_.audits->take();
    if (!audit) return;
    std::vector<InferenceJob> jobs{audit->second};
    std::vector<Sent> sent;
    sent.push_back({.usable_at_s = media_s + to_seconds(options_.answer_delay),
                    .is_given_up = true,
                    .lane = audit->first,
                    .job = audit->second});
    if (submit(audit->first, jobs, sent)) continue;
    options_.audits->settle(std::move(jobs.front()),
                            fail(ErrorCode::kCancelled, "the run was stopped"));
  }
}

void TickScheduler::end_audits() {
  const std::size_t waiting = options_.audits->waiting();
  send_audits(0, policy_.choose({}, waiting, waiting, is_inferred_));
  options_.audits->close();
}

std::optional<DeviceIndex> TickScheduler::free_device(LaneIndex lane) {
  const std::vector<DevicePool::State> states = pool_.states();
  const DeviceSet hosts = pool_.hosts_of_lane(lane);
  std::optional<DeviceIndex> best;
  bool is_served = false;
  double best_load = 1e9;
  for (DeviceIndex i = 0; i < states.size(); ++i) {
    if (!has_device(hosts, i) || !states[i].is_serving) continue;
    is_served = true;
    // One more than run in parallel, so that a request never waits for its letterbox.
    if (batches_of_device_[i] > pool_.batches_max(i)) continue;
    const double load =
        static_cast<double>(batches_of_device_[i]) / static_cast<double>(pool_.batches_max(i));
    if (load < best_load) {
      best = i;
      best_load = load;
    }
  }
  if (!is_served) return static_cast<DeviceIndex>(std::countr_zero(hosts));
  return best;
}

bool TickScheduler::submit(LaneIndex lane, std::vector<InferenceJob>& jobs,
                           std::vector<Sent>& sent) {
  DeviceIndex device = 0;
  {
    const MutexLock lock(mu_);
    std::optional<DeviceIndex> free = free_device(lane);
    while (!free && !is_stopped_) {
      changed_.wait(mu_);
      free = free_device(lane);
    }
    if (is_stopped_) return false;
    device = *free;
    ++batches_in_flight_;
    ++batches_of_device_[device];
    std::ranges::move(sent, std::back_inserter(sent_));
  }
  run_batch(device, lane, std::move(jobs), false);
  return true;
}

void TickScheduler::run_batch(DeviceIndex device, LaneIndex lane, std::vector<InferenceJob> jobs,
                              bool is_last_try) {
  const std::size_t most = pool_.states()[device].batch_max;
  while (jobs.size() > most) {
    const auto end = jobs.begin() + static_cast<std::ptrdiff_t>(most);
    std::vector<InferenceJob> part(std::make_move_iterator(jobs.begin()),
                                   std::make_move_iterator(end));
    jobs.erase(jobs.begin(), end);
    {
      const MutexLock lock(mu_);
      ++batches_in_flight_;
      ++batches_of_device_[device];
    }
    run_part(device, lane, std::move(part), is_last_try);
  }
  run_part(device, lane, std::move(jobs), is_last_try);
}

void TickScheduler::run_part(DeviceIndex device, LaneIndex lane, std::vector<InferenceJob> jobs,
                             bool is_last_try) {
  pool_.submit(device, lane, std::move(jobs),
               [this, device, lane, is_last_try](BatchOutcome&& outcome) {
                 // One that was too large for the device's memory is cut, as often as it takes.
                 const bool is_too_large =
                     !outcome.detections && outcome.jobs.size() > 1 &&
                     outcome.detections.error().code() == ErrorCode::kResourceExhausted;
                 if (!outcome.detections && (is_too_large || !is_last_try)) {
                   DeviceIndex other = device;
                   {
                     const MutexLock lock(mu_);
                     --batches_of_device_[device];
                     // The least busy of all, or the same: one failure may have been bad luck.
                     other = free_device(lane).value_or(device);
                     ++batches_of_device_[other];
                   }
                   run_batch(other, lane, std::move(outcome.jobs), !is_too_large);
                   return;
                 }
                 on_batch_done(device, std::move(outcome));
               });
}

void TickScheduler::on_batch_done(DeviceIndex device, BatchOutcome&& outcome) {
  std::vector<InferredFrame> frames = take_apart(std::move(outcome));
  {
    const MutexLock lock(mu_);
    for (InferredFrame& frame : frames) {
      if (is_over_ || options_.cameras[frame.job.camera].policy != PolicyKind::kAdaptive) continue;
      const auto sent = std::ranges::find_if(sent_, [&](const Sent& s) {
        return s.job.camera == frame.job.camera && s.job.seq == frame.job.seq;
      });
      CHECK(sent != sent_.end());
      sent->result = std::move(frame);
      frame.job.seq = -1;
    }
  }
  for (InferredFrame& frame : frames) {
    if (frame.job.seq < 0) continue;
    if (frame.job.purpose == InferencePurpose::kAudit) {
      options_.audits->settle(std::move(frame.job), std::move(frame.detections),
                              std::move(frame.variant));
    } else {
      (void)settle_inferred(options_.cameras[frame.job.camera], std::move(frame));
    }
  }
  // Told under the lock: once it is released, whoever waits for the last batch may destroy this.
  const MutexLock lock(mu_);
  --batches_in_flight_;
  --batches_of_device_[device];
  changed_.notify_all();
}

void TickScheduler::wait_until_done() {
  const MutexLock lock(mu_);
  while (!is_done_ && !is_stopped_) changed_.wait(mu_);
}

void TickScheduler::stop(Duration patience) {
  std::vector<std::pair<CameraIndex, std::int64_t>> left;
  {
    const MutexLock lock(mu_);
    is_draining_ = true;
    changed_.notify_all();
    const auto give_up_at = std::chrono::steady_clock::now() + patience;
    while (!is_done_) {
      if (changed_.wait_until(mu_, give_up_at) == std::cv_status::timeout) break;
    }
    is_stopped_ = true;
    for (CameraQueue& queue : queues_) {
      for (const Waiting& waiting : queue.frames) {
        left.emplace_back(waiting.camera, waiting.frame.stamp.seq);
      }
      queue.frames.clear();
    }
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const auto& [camera, seq] : left) {
    options_.cameras[camera].ledger->settle_none(seq, DropReason::kLate);
  }
}

}  // namespace framemill
