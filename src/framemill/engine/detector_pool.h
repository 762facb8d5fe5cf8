#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "framemill/base/bounded_queue.h"
#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/core/camera.h"
#include "framemill/engine/detection_cache.h"
#include "framemill/engine/inference_purpose.h"
#include "framemill/infer/detector.h"
#include "framemill/sched/lane_index.h"

namespace framemill {

/// One frame of a batch.
struct InferenceJob {
  CameraIndex camera = 0;
  std::int64_t seq = 0;
  std::int64_t frame_index = 0;
  std::shared_ptr<const Picture> picture;
  InferencePurpose purpose = InferencePurpose::kPrimary;
  /// Of the ladder, that the job runs on. An audit runs on the best one: of the answer it looks at,
  /// 0 where that was carried.
  std::uint32_t rung = 0;
};

/// What became of a batch: detections per job, or one error for all.
struct BatchOutcome {
  std::vector<InferenceJob> jobs;
  Result<std::vector<std::vector<Detection>>> detections;
  std::shared_ptr<const std::string> variant;
  Duration service_time{0};  ///< from the hand-over to the finished detections
};

/// Runs batches on the models of one device: letterbox, inference, head and NMS on a few threads of
/// its own, with requests that are made once and reused. Thread-safety: all members, any thread,
/// after construction.
class DetectorPool {
 public:
  using Done = std::function<void(BatchOutcome&&)>;

  /// `detectors`: by model index, null where the device does not have one; pools may share them.
  /// `threads` >= 1, about one per core that inference may use. With a `cache`, which outlives the
  /// pool, frames found there are not inferred again.
  DetectorPool(std::vector<std::shared_ptr<const Detector>> detectors, std::size_t threads,
               const Clock& clock, DetectionCache* cache = nullptr);
  DetectorPool(const DetectorPool&) = delete;
  ~DetectorPool();

  [[nodiscard]] const Detector& detector(std::size_t model) const { return *detectors_[model]; }
  [[nodiscard]] std::size_t detector_count() const { return detectors_.size(); }
  [[nodiscard]] const std::vector<std::shared_ptr<const Detector>>& detectors() const {
    return detectors_;
  }

  /// A model that has had no picture for so long may be unloaded where memory is short.
  static constexpr Duration kIdleLeast = std::chrono::seconds(10);

  /// The lane for pictures of `picture_size` on `model`; made on first use.
  [[nodiscard]] LaneIndex lane_for(std::size_t model, Size picture_size) EXCLUDES(mu_);

  /// Batches in flight at which throughput peaks; the caller keeps to it.
  [[nodiscard]] std::size_t batches_max() const { return batches_max_; }

  /// The largest bucket (see kBatchBuckets) that the lane's model takes; 1: single pictures.
  [[nodiscard]] std::size_t batch_max(LaneIndex lane) const EXCLUDES(mu_);

  /// Makes `count` requests of `batch` pictures now, so that the first frames do not wait for it.
  /// Errors: those of Detector::create_request.
  Result<void> warm_up(LaneIndex lane, std::size_t batch, std::size_t count) EXCLUDES(mu_);

  /// Lets go of the idle requests for more pictures than `batch`, and of what the device keeps for
  /// them. They are made anew where such a batch comes after all.
  void unload_larger(LaneIndex lane, std::size_t batch) EXCLUDES(mu_);

  /// When the model was used last that nobody has used for longest, and for kIdleLeast at least;
  /// none: all that are loaded are in use.
  [[nodiscard]] std::optional<TimePoint> idlest_used_at() const EXCLUDES(mu_);
  /// Unloads that one: for where memory is short. False where there is none.
  bool unload_idlest() EXCLUDES(mu_);

  /// Whether a batch of so many pictures has its request, so that nothing has to be compiled for
  /// it.
  [[nodiscard]] bool is_ready(LaneIndex lane, std::size_t batch) const EXCLUDES(mu_);

  /// Runs `jobs` (at least one, of one lane) as one batch; `done` is called once from a pool
  /// thread.
  void submit(LaneIndex lane, std::vector<InferenceJob> jobs, Done done);

  /// Waits for what is submitted, then ends the threads. Idempotent. False where a batch did not
  /// come back within `patience`: the device hangs, and destroying the pool would, too.
  bool stop(Duration patience);

  /// Wall time spent inside the backend, summed over batches.
  [[nodiscard]] Duration inference_time() const { return Duration(inference_ns_.load()); }
  /// Frames to a batch, so far on average; 0 before the first. Without those whose frame_index is
  /// below 0: they measure.
  [[nodiscard]] double mean_batch() const;
  /// Batches so far, without those.
  [[nodiscard]] std::int64_t batches() const { return batches_; }
  /// Frames in them.
  [[nodiscard]] std::int64_t batched_frames() const { return batched_frames_; }
  /// Nothing that was submitted is still to come back: stop() ends at once.
  [[nodiscard]] bool is_settled() const EXCLUDES(mu_);

 private:
  struct Lane {
    std::size_t model = 0;
    Size input;
    std::shared_ptr<const std::string> variant;
    std::vector<std::shared_ptr<DetectorRequest>> idle;  ///< guarded by mu_
    TimePoint used_at = TimePoint::min();                ///< last; guarded by mu_
  };
  struct Batch;

  /// Where the device has no memory left, models that nobody has used for kIdleLeast are unloaded
  /// from it, the least recently used first. Errors: those of Detector::create_request.
  Result<std::shared_ptr<DetectorRequest>> take_request(LaneIndex lane, std::size_t batch)
      EXCLUDES(mu_);
  /// False where there is none that could be. `unloads`: unloads_ before the request was tried.
  bool unload_idle(LaneIndex wanting, int unloads) EXCLUDES(mu_, unload_mu_);
  /// The lane whose turn it is to be unloaded, but for `wanting`; null: none.
  [[nodiscard]] Lane* find_idlest(std::optional<LaneIndex> wanting) const REQUIRES(mu_);
  bool unload_idlest(std::optional<LaneIndex> wanting) EXCLUDES(mu_);
  /// What the cache holds of all frames of the batch, or nothing.
  std::optional<std::vector<std::vector<Detection>>> find_cached(const Batch& batch) EXCLUDES(mu_);
  void begin(const std::shared_ptr<Batch>& batch);
  void start(const std::shared_ptr<Batch>& batch);
  void finish(const std::shared_ptr<Batch>& batch, const Result<void>& status);
  void deliver(const std::shared_ptr<Batch>& batch);
  /// Calls `work_on` for each item, on several threads where there are many, and then `then` on the
  /// one that ends last. Returns at once or when its own part is done.
  void share_items(const std::shared_ptr<Batch>& batch, std::function<void(std::size_t)> work_on,
                   std::function<void()> then);
  void complete(const std::shared_ptr<Batch>& batch,
                Result<std::vector<std::vector<Detection>>> detections);
  void work();

  const std::vector<std::shared_ptr<const Detector>> detectors_;
  const Clock& clock_;
  DetectionCache* const cache_;  // null: none
  std::size_t batches_max_ = 1;
  BoundedQueue<std::function<void()>> tasks_;  // synchronizes itself
  std::atomic<std::int64_t> inference_ns_{0};
  std::atomic<std::int64_t> batches_{0};
  std::atomic<std::int64_t> batched_frames_{0};
  Mutex unload_mu_;  // one at a time; mu_ may be taken under it
  std::atomic<int> unloads_{0};
  mutable Mutex mu_;
  CondVar settled_;
  std::vector<std::unique_ptr<Lane>> lanes_ GUARDED_BY(mu_);
  std::size_t in_flight_ GUARDED_BY(mu_) = 0;
  std::vector<std::thread> threads_;
};

}  // namespace framemill
