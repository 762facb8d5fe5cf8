#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/engine/frame_scheduler.h"
#include "framemill/sched/inference_policy.h"

namespace framemill {

/// Pace fast: media time moves in ticks. Tick k holds the sampled frames with
/// pts - first pts in [k, k + 1) * tick of every camera, ordered by (pts, camera); it is decided
/// once all of them are present. A camera that is more than a tick ahead waits in offer(), so
/// nothing is superseded.
///
/// Results of adaptive cameras become usable `answer_delay` of media time after their frame, at the
/// next decision from then on, and in the order of these moments: a decision waits for all that are
/// due, and uses none that are not. So the same inputs give the same choices on any
/// machine and with any number of threads. A frame whose result comes later than its slo allows is
/// answered from the state, and the result corrects it. Other policies do not look at results, and
/// settle them as they come.
class TickScheduler final : public FrameScheduler {
 public:
  TickScheduler(FrameSchedulerOptions options, DevicePool& pool);
  ~TickScheduler() override;

  void offer(CameraIndex camera, Frame&& frame) override EXCLUDES(mu_);
  void end_camera(CameraIndex camera) override EXCLUDES(mu_);
  void stop(Duration patience) override EXCLUDES(mu_);
  void wait_until_done() override EXCLUDES(mu_);
  [[nodiscard]] SchedulerStatus status() const override {
    return {.batch_frames = options_.knee_frames};
  }
  [[nodiscard]] double budget_share(double by_settings) const override {
    return options_.budget_per_second ? budget_share_.load() : by_settings;
  }

 private:
  struct Waiting {
    CameraIndex camera = 0;
    std::int64_t tick = 0;
    LaneIndex lane = 0;
    Frame frame;
    InferencePurpose purpose = InferencePurpose::kPrimary;
    bool is_owed = false;   ///< as in use()
    bool is_alone = false;  ///< in its batch, see InferencePolicy
  };
  struct CameraQueue {
    std::deque<Waiting> frames;
    std::int64_t last_tick = -1;  ///< of the newest offered frame
    bool has_ended = false;
  };
  /// A frame that was sent to a model, until its result is used.
  struct Sent {
    double usable_at_s = 0;    ///< media time
    double give_up_at_s = 0;   ///< media time from which on the answer no longer waits
    bool is_given_up = false;  ///< or nothing waits for it
    bool is_owed = false;      ///< as in use()
    LaneIndex lane = 0;
    InferenceJob job;  ///< as it was sent: given up, it may be audited
    std::optional<InferredFrame> result;
  };

  void run() EXCLUDES(mu_);
  /// Waits until all frames of a tick are present and takes them, in order; empty: done or stopped.
  std::vector<Waiting> take_tick() EXCLUDES(mu_);
  /// Has the shares follow the rates of the cameras, where the budget is one a second.
  void follow_rates(std::span<const Waiting> frames);
  /// Part of a tick in which each camera has one frame at most: chooses, sends, settles the rest.
  void decide(std::span<Waiting> frames, double media_s) EXCLUDES(mu_);
  void send(std::vector<Waiting>& frames) EXCLUDES(mu_);
  /// Sends the `count` audits that have waited longest.
  void send_audits(double media_s, std::size_t count) EXCLUDES(mu_);
  /// No more frames come: sends the audits for which there are tokens left, and drops the others.
  void end_audits() EXCLUDES(mu_);
  /// The serving device with the lane that has most slots free; none: all are busy. Where none
  /// serves it is the first, which refuses the batch.
  [[nodiscard]] std::optional<DeviceIndex> free_device(LaneIndex lane) REQUIRES(mu_);
  /// Waits for a slot and submits; false where the run was stopped meanwhile.
  bool submit(LaneIndex lane, std::vector<InferenceJob>& jobs, std::vector<Sent>& sent)
      EXCLUDES(mu_);
  /// Waits for the results that are due at `media_s` and uses them, in the order of the choices.
  void use_results(double media_s) EXCLUDES(mu_);
  /// `is_owed`: nothing of the frame's scene is known without it.
  void use(InferredFrame&& frame, bool is_owed) EXCLUDES(mu_);
  /// Frame `seq`, which was owed an inference, had none that is of use.
  void owe_again(CameraIndex camera, std::int64_t seq);
  /// `is_last_try`: what failed is settled as such, not sent to a device once more.
  /// What is too large for the device's memory goes there in parts.
  void run_batch(DeviceIndex device, LaneIndex lane, std::vector<InferenceJob> jobs,
                 bool is_last_try) EXCLUDES(mu_);
  void run_part(DeviceIndex device, LaneIndex lane, std::vector<InferenceJob> jobs,
                bool is_last_try) EXCLUDES(mu_);
  void on_batch_done(DeviceIndex device, BatchOutcome&& outcome) EXCLUDES(mu_);
  [[nodiscard]] std::int64_t tick_of(const Frame& frame) const;

  const FrameSchedulerOptions options_;
  DevicePool& pool_;
  InferencePolicy policy_;              // used by thread_ only
  std::optional<BudgetPace> budget_;    // of a budget a second; likewise
  std::atomic<double> budget_share_;    // what it comes to
  std::vector<bool> is_cut_owed_;       // by camera: no frame of its new scene was sent; likewise
  std::vector<std::int64_t> owed_seq_;  // by camera: of those that were sent, the last; likewise
  std::vector<SampledFrame> sampled_;   // working memory of decide()
  std::vector<bool> is_inferred_;

  Mutex mu_;
  CondVar changed_;
  std::vector<CameraQueue> queues_ GUARDED_BY(mu_);
  std::int64_t tick_ GUARDED_BY(mu_) = 0;  ///< the one being waited for
  std::size_t batches_in_flight_ GUARDED_BY(mu_) = 0;
  std::vector<std::size_t> batches_of_device_ GUARDED_BY(mu_);  ///< likewise
  std::vector<Sent> sent_ GUARDED_BY(mu_);    ///< of adaptive cameras, in the order of the choices
  bool is_over_ GUARDED_BY(mu_) = false;      ///< thread_ no longer uses results
  bool is_draining_ GUARDED_BY(mu_) = false;  ///< offers are refused
  bool is_stopped_ GUARDED_BY(mu_) = false;
  bool is_done_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // last member
};

}  // namespace framemill
