#include "framemill/engine/live_scheduler.h"

#include <algorithm>

#include "framemill/base/check.h"

namespace framemill {
LiveScheduler::LiveScheduler(FrameSchedulerOptions options, DetectorPool& pool, const Clock& clock)
    : options_(std::move(options)),
      pool_(pool),
      clock_(clock),
      // One inference a camera at a time is fair and keeps answers in order; with fewer cameras
      // than parallel requests that would leave the device idle.
      in_flight_per_camera_((pool.batches_max() + options_.cameras.size() - 1) /
                            options_.cameras.size()),
      policy_{.knee_frames = options_.knee_frames},
      mailboxes_(options_.cameras.size()),
      gate_(policies_of(options_.cameras), options_.inference_share),
      times_(options_.lane_times),
      thread_([this] { run(); }) {}

LiveScheduler::~LiveScheduler() { stop(Duration::zero()); }

void LiveScheduler::offer(CameraIndex camera, Frame&& frame) {
  const std::size_t model = options_.cameras[camera].model;
  const LaneIndex lane = pool_.lane_for(model, frame.picture->size);
  const TimePoint now = clock_.now();
  std::optional<Unserved> unserved;
  {
    const MutexLock lock(mu_);
    Mailbox& mailbox = mailboxes_[camera];
    while (times_.size() <= lane)
      times_.push_back(times_.empty() ? ServiceTimes{} : times_.front());
    mailbox.lane = lane;
    const Duration period = options_.cameras[camera].period;
    mailbox.next_arrival.reset();
    if (period > Duration::zero()) mailbox.next_arrival = now + period;
    mailbox.is_inference_owed |= frame.is_scene_start;
    const bool is_to_infer =
        gate_.decide(camera, mailbox.is_inference_owed) == InferenceGate::Verdict::kInfer;
    if (is_stopped_ || !is_to_infer) {
      unserved = Unserved{camera, frame.stamp.seq};
    } else {
      if (!mailbox.served_until) mailbox.served_until = frame.stamp.captured_mono;
      if (mailbox.waiting) unserved = Unserved{camera, mailbox.waiting->frame.stamp.seq};
      mailbox.waiting = Waiting{std::move(frame), lane, now};
      ++news_;
    }
  }
  changed_.notify_all();
  if (unserved) settle_unserved(*unserved);
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

void LiveScheduler::settle_unserved(const Unserved& unserved) {
  const ScheduledCamera& camera = options_.cameras[unserved.camera];
  if (camera.policy == PolicyKind::kFull) {
    camera.ledger->settle_none(unserved.seq, DropReason::kSuperseded);
  } else {
    camera.ledger->settle_reused(unserved.seq);
  }
}

std::optional<TimePoint> LiveScheduler::decide(std::vector<InferenceJob>& jobs, LaneIndex& lane,
                                               std::vector<Unserved>& unserved) {
  const TimePoint now = clock_.now();
  waiting_.clear();
  expected_.clear();
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    const Mailbox& mailbox = mailboxes_[i];
    const ScheduledCamera& camera = options_.cameras[i];
    if (mailbox.waiting && mailbox.in_flight < in_flight_per_camera_) {
      waiting_.push_back({.camera = static_cast<CameraIndex>(i),
                          .model = mailbox.waiting->lane,
                          .priority = camera.priority,
                          .arrived_at = mailbox.waiting->arrived_at,
                          .deadline = mailbox.waiting->frame.stamp.captured_mono + camera.slo,
                          .served_until = *mailbox.served_until,
                          .is_late_useful = camera.policy == PolicyKind::kFull});
    } else if (!mailbox.waiting && mailbox.next_arrival) {
      expected_.push_back({.model = mailbox.lane, .at = *mailbox.next_arrival});
    }
  }
  DeviceState device{.batches_in_flight = batches_in_flight_, .batches_max = pool_.batches_max()};
  if (!batches_due_.empty()) device.free_at = *std::ranges::min_element(batches_due_);
  decide_batch(waiting_, expected_, now, policy_, times_, device, scratch_, decision_);

  for (const std::size_t i : decision_.hopeless) {
    Mailbox& mailbox = mailboxes_[waiting_[i].camera];
    unserved.push_back({waiting_[i].camera, mailbox.waiting->frame.stamp.seq});
    mailbox.waiting.reset();
  }
  for (const std::size_t i : decision_.send) {
    Mailbox& mailbox = mailboxes_[waiting_[i].camera];
    lane = mailbox.waiting->lane;
    mailbox.served_until = mailbox.waiting->frame.stamp.captured_mono;
    mailbox.is_inference_owed = false;
    ++mailbox.in_flight;
    jobs.push_back({waiting_[i].camera, mailbox.waiting->frame.stamp.seq,
                    std::move(mailbox.waiting->frame.picture)});
    mailbox.waiting.reset();
  }
  if (!decision_.send.empty()) {
    ++batches_in_flight_;
    batches_due_.push_back(now + times_[lane].mean(bucket_for(decision_.send.size())));
  }
  std::optional<TimePoint> wake_at = decision_.wake_at;
  give_up_behind_batches(now, unserved, wake_at);
  return wake_at;
}

void LiveScheduler::give_up_behind_batches(TimePoint now, std::vector<Unserved>& unserved,
                                           std::optional<TimePoint>& wake_at) {
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    Mailbox& mailbox = mailboxes_[i];
    if (!mailbox.waiting || mailbox.in_flight < in_flight_per_camera_) continue;
    if (options_.cameras[i].policy == PolicyKind::kFull) continue;  // late is better than none
    const TimePoint last_start = mailbox.waiting->frame.stamp.captured_mono +
                                 options_.cameras[i].slo - policy_.post_time -
                                 times_[mailbox.waiting->lane].p95(1);
    if (now > last_start) {
      unserved.push_back({static_cast<CameraIndex>(i), mailbox.waiting->frame.stamp.seq});
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
    for (const Unserved& frame : unserved) settle_unserved(frame);
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
  std::vector<CameraIndex> cameras;
  for (const InferenceJob& job : outcome.jobs) cameras.push_back(job.camera);
  settle_batch(options_.cameras, std::move(outcome));
  // Told under the lock: once it is released, whoever waits for the last batch may destroy this.
  const MutexLock lock(mu_);
  if (has_succeeded) times_[lane].record(bucket_for(cameras.size()), service_time);
  for (const CameraIndex camera : cameras) --mailboxes_[camera].in_flight;
  --batches_in_flight_;
  if (!batches_due_.empty()) batches_due_.pop_front();
  ++news_;
  changed_.notify_all();
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
    const auto give_up_at = std::chrono::steady_clock::now() + patience;
    while (!is_stopped_ && !is_drained()) {
      if (changed_.wait_until(mu_, give_up_at) == std::cv_status::timeout) break;
    }
    is_stopped_ = true;
    for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
      if (!mailboxes_[i].waiting) continue;
      unserved.push_back({static_cast<CameraIndex>(i), mailboxes_[i].waiting->frame.stamp.seq});
      mailboxes_[i].waiting.reset();
    }
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const Unserved& frame : unserved) {
    options_.cameras[frame.camera].ledger->settle_none(frame.seq, DropReason::kLate);
  }
}

}  // namespace framemill
