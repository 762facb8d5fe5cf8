#include "framemill/engine/tick_scheduler.h"

#include <algorithm>
#include <cmath>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// How many ticks a camera may be ahead of the one being decided: enough that decoding goes on
/// while the models work.
constexpr std::int64_t kTicksAhead = 2;

}  // namespace

TickScheduler::TickScheduler(FrameSchedulerOptions options, DetectorPool& pool)
    : options_(std::move(options)),
      pool_(pool),
      gate_(policies_of(options_.cameras), options_.inference_share),
      queues_(options_.cameras.size()),
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
  while (true) {
    std::vector<Waiting> frames = take_tick();
    if (frames.empty()) break;
    std::vector<Waiting> to_infer;
    for (Waiting& waiting : frames) {
      if (gate_.decide(waiting.camera, waiting.frame.is_scene_start) ==
          InferenceGate::Verdict::kInfer) {
        to_infer.push_back(std::move(waiting));
      } else {
        options_.cameras[waiting.camera].ledger->settle_reused(waiting.frame.stamp.seq);
      }
    }
    infer(to_infer);
  }
  const MutexLock lock(mu_);
  while (batches_in_flight_ > 0 && !is_stopped_) changed_.wait(mu_);
  is_done_ = true;
  changed_.notify_all();
}

void TickScheduler::infer(std::vector<Waiting>& frames) {
  // Batches of one lane each, in the order of the tick.
  std::size_t left = frames.size();
  std::vector<bool> is_sent(frames.size(), false);
  while (left > 0) {
    const auto first = static_cast<std::size_t>(std::find(is_sent.begin(), is_sent.end(), false) -
                                                is_sent.begin());
    const LaneIndex lane = frames[first].lane;
    std::vector<InferenceJob> jobs;
    for (std::size_t i = first; i < frames.size() && jobs.size() < options_.knee_frames; ++i) {
      if (is_sent[i] || frames[i].lane != lane) continue;
      is_sent[i] = true;
      --left;
      jobs.push_back(
          {frames[i].camera, frames[i].frame.stamp.seq, std::move(frames[i].frame.picture)});
    }
    {
      const MutexLock lock(mu_);
      // One more than run in parallel, so that a request never waits for its letterbox.
      while (batches_in_flight_ > pool_.batches_max() && !is_stopped_) changed_.wait(mu_);
      if (is_stopped_) {
        for (const InferenceJob& job : jobs) {
          options_.cameras[job.camera].ledger->settle_none(job.seq, DropReason::kLate);
        }
        continue;
      }
      ++batches_in_flight_;
    }
    pool_.submit(lane, std::move(jobs),
                 [this](BatchOutcome&& outcome) { settle(std::move(outcome)); });
  }
}

void TickScheduler::settle(BatchOutcome&& outcome) {
  settle_batch(options_.cameras, std::move(outcome));
  // Told under the lock: once it is released, whoever waits for the last batch may destroy this.
  const MutexLock lock(mu_);
  --batches_in_flight_;
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
