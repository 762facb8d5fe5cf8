#include "framemill/engine/detector_pool.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <iterator>
#include <optional>
#include <utility>

#include <spdlog/spdlog.h>

#include "framemill/base/check.h"
#include "framemill/base/thread_name.h"
#include "framemill/sched/service_times.h"

namespace framemill {
namespace {

// Pictures to a task of large batches: putting one in and reading its answer out take some .2 ms
// each, and 32 of them in a row would leave a graphics device without work.
constexpr std::size_t kItemsPerTask = 4;

}  // namespace

struct DetectorPool::Batch {
  LaneIndex lane = 0;
  std::vector<InferenceJob> jobs;
  Done done;
  std::shared_ptr<DetectorRequest> request;  ///< shared with the call that starts it
  TimePoint submitted_at;
  TimePoint started_at;
  std::vector<std::vector<Detection>> detections;  ///< by job
  std::atomic<std::size_t> open_tasks = 0;         ///< of those that share the items
  Mutex mu;
  std::optional<Error> error GUARDED_BY(mu);  ///< the first of an item
};

DetectorPool::DetectorPool(std::vector<std::shared_ptr<const Detector>> detectors,
                           std::size_t threads, const Clock& clock, DetectionCache* cache)
    : detectors_(std::move(detectors)), clock_(clock), cache_(cache), tasks_(4096) {
  CHECK(threads >= 1 && !detectors_.empty());
  for (const auto& detector : detectors_) {
    if (detector == nullptr) continue;
    batches_max_ = std::max(batches_max_, detector->facts().parallel_requests);
  }
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

DetectorPool::~DetectorPool() { stop(std::chrono::hours(1)); }

LaneIndex DetectorPool::lane_for(std::size_t model, Size picture_size) {
  const Size input = detectors_[model]->input_for(picture_size);
  const MutexLock lock(mu_);
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i]->model == model && lanes_[i]->input == input) return static_cast<LaneIndex>(i);
  }
  auto lane = std::make_unique<Lane>();
  lane->model = model;
  lane->input = input;
  lane->variant = std::make_shared<const std::string>(detectors_[model]->variant_name(input));
  lanes_.push_back(std::move(lane));
  return static_cast<LaneIndex>(lanes_.size() - 1);
}

Result<std::shared_ptr<DetectorRequest>> DetectorPool::take_request(LaneIndex lane_index,
                                                                    std::size_t batch) {
  const Detector* detector = nullptr;
  Size input;
  {
    const MutexLock lock(mu_);
    Lane& lane = *lanes_[lane_index];
    lane.used_at = clock_.now();
    for (auto& request : lane.idle) {
      if (request->batch() != batch) continue;
      std::shared_ptr<DetectorRequest> taken = std::move(request);
      std::swap(request, lane.idle.back());
      lane.idle.pop_back();
      return taken;
    }
    detector = detectors_[lane.model].get();
    input = lane.input;
  }
  for (;;) {
    const int unloads = unloads_;
    Result<std::unique_ptr<DetectorRequest>> made =
        detector->create_request(batch, input);  // slow: not under the lock
    if (made) return std::shared_ptr<DetectorRequest>(std::move(*made));
    const bool is_memory_short = made.error().code() == ErrorCode::kResourceExhausted;
    if (!is_memory_short || !unload_idle(lane_index, unloads)) return fail(made.error());
  }
}

bool DetectorPool::unload_idle(LaneIndex wanting, int unloads) {
  const MutexLock alone(unload_mu_);
  if (unloads_ != unloads) return true;  // another one has, since the request was tried
  if (!unload_idlest(wanting)) return false;
  ++unloads_;
  return true;
}

bool DetectorPool::unload_idlest() { return unload_idlest(std::nullopt); }

std::optional<TimePoint> DetectorPool::idlest_used_at() const {
  const MutexLock lock(mu_);
  const Lane* const idlest = find_idlest(std::nullopt);
  return idlest == nullptr ? std::nullopt : std::optional(idlest->used_at);
}

DetectorPool::Lane* DetectorPool::find_idlest(std::optional<LaneIndex> wanting) const {
  const TimePoint latest = clock_.now() - kIdleLeast;
  Lane* idlest = nullptr;
  for (LaneIndex i = 0; i < lanes_.size(); ++i) {
    Lane& lane = *lanes_[i];
    if (i == wanting || lane.idle.empty() || lane.used_at > latest) continue;
    if (idlest == nullptr || lane.used_at < idlest->used_at) idlest = &lane;
  }
  return idlest;
}

bool DetectorPool::unload_idlest(std::optional<LaneIndex> wanting) {
  std::vector<std::shared_ptr<DetectorRequest>> unloaded;
  const Detector* detector = nullptr;
  std::shared_ptr<const std::string> variant;
  Duration idle_for{0};
  {
    const MutexLock lock(mu_);
    Lane* const idlest = find_idlest(wanting);
    if (idlest == nullptr) return false;
    unloaded.swap(idlest->idle);
    detector = detectors_[idlest->model].get();
    variant = idlest->variant;
    idle_for = clock_.now() - idlest->used_at;
  }
  spdlog::info("{} is unloaded from {}, where memory is short; it was last used {:.0f} s ago",
               *variant, detector->facts().device, to_seconds(idle_for));
  unloaded.clear();
  detector->forget_unused();
  return true;
}

std::size_t DetectorPool::batch_max(LaneIndex lane) const {
  std::size_t model = 0;
  {
    const MutexLock lock(mu_);
    model = lanes_[lane]->model;
  }
  std::size_t largest = 1;
  for (const std::size_t bucket : kBatchBuckets) {
    if (bucket <= detectors_[model]->facts().batch_max) largest = bucket;
  }
  return largest;
}

double DetectorPool::mean_batch() const {
  const std::int64_t batches = batches_;
  return batches == 0 ? 0 : static_cast<double>(batched_frames_) / static_cast<double>(batches);
}

Result<void> DetectorPool::warm_up(LaneIndex lane_index, std::size_t batch, std::size_t count) {
  // Side by side: on a graphics device one takes seconds, and a core.
  std::vector<std::future<Result<std::shared_ptr<DetectorRequest>>>> made;
  for (std::size_t i = 0; i < count; ++i)
    made.push_back(std::async(
        std::launch::async, [this, lane_index, batch] { return take_request(lane_index, batch); }));
  Result<void> outcome;
  std::vector<std::shared_ptr<DetectorRequest>> requests;
  for (auto& each : made) {
    Result<std::shared_ptr<DetectorRequest>> request = each.get();
    if (request)
      requests.push_back(*std::move(request));
    else
      outcome = fail(request.error());
  }
  const MutexLock lock(mu_);
  for (auto& request : requests) lanes_[lane_index]->idle.push_back(std::move(request));
  return outcome;
}

void DetectorPool::unload_larger(LaneIndex lane_index, std::size_t batch) {
  std::vector<std::shared_ptr<DetectorRequest>> unloaded;
  const Detector* detector = nullptr;
  {
    const MutexLock lock(mu_);
    Lane& lane = *lanes_[lane_index];
    detector = detectors_[lane.model].get();
    const auto larger = std::ranges::partition(
        lane.idle, [batch](const auto& request) { return request->batch() <= batch; });
    std::ranges::move(larger, std::back_inserter(unloaded));
    lane.idle.erase(larger.begin(), larger.end());
  }
  if (unloaded.empty()) return;
  unloaded.clear();
  detector->forget_unused();
}

bool DetectorPool::is_ready(LaneIndex lane, std::size_t batch) const {
  const MutexLock lock(mu_);
  return std::ranges::any_of(lanes_[lane]->idle,
                             [batch](const auto& request) { return request->batch() == batch; });
}

bool DetectorPool::is_settled() const {
  const MutexLock lock(mu_);
  return in_flight_ == 0;
}

void DetectorPool::submit(LaneIndex lane, std::vector<InferenceJob> jobs, Done done) {
  CHECK(!jobs.empty());
  if (jobs.front().frame_index >= 0) {
    ++batches_;
    batched_frames_ += static_cast<std::int64_t>(jobs.size());
  }
  auto batch = std::make_shared<Batch>();
  batch->lane = lane;
  batch->jobs = std::move(jobs);
  batch->done = std::move(done);
  batch->submitted_at = clock_.now();
  {
    const MutexLock lock(mu_);
    ++in_flight_;
  }
  CHECK(tasks_.push([this, batch] { begin(batch); }));
}

std::optional<std::vector<std::vector<Detection>>> DetectorPool::find_cached(const Batch& batch) {
  if (cache_ == nullptr || batch.jobs.front().frame_index < 0) return std::nullopt;
  std::string variant;
  {
    const MutexLock lock(mu_);
    variant = *lanes_[batch.lane]->variant;
  }
  std::vector<std::vector<Detection>> detections;
  for (const InferenceJob& job : batch.jobs) {
    std::optional<std::vector<Detection>> found =
        cache_->find({job.camera, job.frame_index, variant});
    if (!found) return std::nullopt;
    detections.push_back(std::move(*found));
  }
  return detections;
}

void DetectorPool::begin(const std::shared_ptr<Batch>& batch) {
  if (auto cached = find_cached(*batch)) return complete(batch, std::move(*cached));
  const Result<std::shared_ptr<DetectorRequest>> taken =
      take_request(batch->lane, bucket_for(batch->jobs.size()));
  if (!taken) return complete(batch, fail(taken.error()));
  batch->request = *taken;
  share_items(
      batch,
      [batch](std::size_t item) {
        const Result<void> set = batch->request->set_picture(item, *batch->jobs[item].picture);
        if (set) return;
        const MutexLock lock(batch->mu);
        if (!batch->error) batch->error = set.error();
      },
      [this, batch] { start(batch); });
}

void DetectorPool::start(const std::shared_ptr<Batch>& batch) {
  std::optional<Error> error;
  {
    const MutexLock lock(batch->mu);
    error = batch->error;
  }
  if (error) return complete(batch, fail(*error));
  batch->started_at = clock_.now();
  const std::shared_ptr<DetectorRequest> request = batch->request;  // outlives the call
  request->start([this, batch](Result<void> status) {
    // On a thread of the backend: hand over quickly.
    CHECK(tasks_.push([this, batch, status = std::move(status)] { finish(batch, status); }));
  });
}

void DetectorPool::share_items(const std::shared_ptr<Batch>& batch,
                               std::function<void(std::size_t)> work_on,
                               std::function<void()> then) {
  const std::size_t items = batch->jobs.size();
  const std::size_t tasks = (items + kItemsPerTask - 1) / kItemsPerTask;
  batch->open_tasks = tasks;
  const auto run = [batch, items, work_on = std::move(work_on),
                    then = std::move(then)](std::size_t task) {
    const std::size_t end = std::min((task + 1) * kItemsPerTask, items);
    for (std::size_t item = task * kItemsPerTask; item < end; ++item) work_on(item);
    if (--batch->open_tasks == 0) then();
  };
  for (std::size_t task = 1; task < tasks; ++task) CHECK(tasks_.push([run, task] { run(task); }));
  run(0);
}

void DetectorPool::finish(const std::shared_ptr<Batch>& batch, const Result<void>& status) {
  inference_ns_ += (clock_.now() - batch->started_at).count();
  if (!status) return complete(batch, fail(status.error()));
  batch->detections.resize(batch->jobs.size());
  share_items(
      batch,
      [batch](std::size_t item) { batch->detections[item] = batch->request->detections(item); },
      [this, batch] { deliver(batch); });
}

void DetectorPool::deliver(const std::shared_ptr<Batch>& batch) {
  if (cache_ != nullptr) {
    std::string variant;
    {
      const MutexLock lock(mu_);
      variant = *lanes_[batch->lane]->variant;
    }
    for (std::size_t i = 0; i < batch->jobs.size(); ++i) {
      const InferenceJob& job = batch->jobs[i];
      cache_->keep({job.camera, job.frame_index, variant}, batch->detections[i]);
    }
  }
  complete(batch, std::move(batch->detections));
}

void DetectorPool::complete(const std::shared_ptr<Batch>& batch,
                            Result<std::vector<std::vector<Detection>>> detections) {
  BatchOutcome outcome{std::move(batch->jobs), std::move(detections), nullptr,
                       clock_.now() - batch->submitted_at};
  {
    const MutexLock lock(mu_);
    outcome.variant = lanes_[batch->lane]->variant;
    // A request that failed may be broken: the next one is made anew.
    if (batch->request && outcome.detections) {
      lanes_[batch->lane]->idle.push_back(std::move(batch->request));
    }
  }
  // A request may hold on to its callback, which holds the batch: the batch lets go of it.
  batch->request.reset();
  batch->done(std::move(outcome));
  {
    const MutexLock lock(mu_);
    --in_flight_;
  }
  settled_.notify_all();
}

void DetectorPool::work() {
  name_this_thread("pool");
  while (const std::optional<std::function<void()>> task = tasks_.pop()) (*task)();
}

bool DetectorPool::stop(Duration patience) {
  const auto give_up_at = std::chrono::steady_clock::now() + patience;
  {
    const MutexLock lock(mu_);
    while (in_flight_ > 0) {
      if (settled_.wait_until(mu_, give_up_at) == std::cv_status::timeout && in_flight_ > 0) {
        return false;
      }
    }
  }
  tasks_.close();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  return true;
}

}  // namespace framemill
