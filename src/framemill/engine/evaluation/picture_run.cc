#include "framemill/engine/evaluation/picture_run.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framemill/base/mutex.h"
#include "framemill/engine/detector_pool.h"
#include "framemill/infer/cpu_quota.h"
#include "framemill/video/source.h"
#include "framemill/vision/picture_file.h"

namespace framemill {
namespace {

constexpr std::size_t kProblemsKept = 20;
constexpr Duration kPatience = std::chrono::seconds(120);

/// Some of `count` places, evenly spread.
std::vector<std::size_t> spread(std::size_t count, std::size_t most) {
  std::vector<std::size_t> places;
  const std::size_t taken = most == 0 ? count : std::min(count, most);
  for (std::size_t i = 0; i < taken; ++i) places.push_back(i * count / taken);
  return places;
}

/// A picture under one condition on its way through all models.
struct Job {
  std::size_t picture = 0;
  std::size_t condition = 0;
  std::shared_ptr<const Picture> pixels;
  std::vector<std::vector<Detection>> found;  ///< by model
  std::size_t missing = 0;                    ///< models that have not answered
};

class Runner {
 public:
  Runner(const DataSet& data, const PictureRunRequest& request, const Clock& clock,
         const PictureRunHooks& hooks)
      : data_(data),
        request_(request),
        clock_(clock),
        hooks_(hooks),
        pool_(request.models, std::max<std::size_t>(usable_core_count(), 1), clock) {
    run_.detections.resize(request.conditions.size());
    for (auto& of_condition : run_.detections) of_condition.resize(request.models.size());
  }

  Result<PictureRun> run() {
    const std::vector<std::size_t> places = spread(data_.pictures.size(), request_.pictures_max);
    const std::size_t steps = places.size() + data_.clips.size();
    std::size_t done = 0;
    const auto next = [&] {
      if (hooks_.on_progress)
        hooks_.on_progress(static_cast<double>(done) / static_cast<double>(steps));
      ++done;
      return !is_over();
    };
    for (const std::size_t place : places) {
      if (!next()) break;
      read_picture(data_.pictures[place]);
    }
    for (const std::string& clip : data_.clips) {
      if (!next()) break;
      read_clip(clip);
    }
    if (!wait_until_idle() || !pool_.stop(kPatience)) {
      is_hung_ = true;
      return fail(ErrorCode::kInternal, "a batch has not come back from its device");
    }
    if (hooks_.is_stopped && hooks_.is_stopped()) return fail(ErrorCode::kCancelled, "stopped");
    const MutexLock lock(mu_);
    if (failure_) return fail(*failure_);
    if (run_.pictures.empty())
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("none of {} pictures and clips could be read:\n{}", run_.broken,
                              fmt::join(run_.problems, "\n")));
    return std::move(run_);
  }

  /// Destroying it would wait for the device for ever.
  [[nodiscard]] bool is_hung() const { return is_hung_; }

 private:
  [[nodiscard]] bool is_over() EXCLUDES(mu_) {
    if (is_hung_) return true;
    if (hooks_.is_stopped && hooks_.is_stopped()) return true;
    const MutexLock lock(mu_);
    return failure_.has_value();
  }

  void note_broken(std::string problem) {
    ++run_.broken;
    if (run_.problems.size() < kProblemsKept) run_.problems.push_back(std::move(problem));
  }

  void read_picture(const LabelledPicture& picture) {
    Result<std::shared_ptr<const Picture>> pixels = read_picture_file(picture.path);
    if (!pixels) return note_broken(pixels.error().message());
    const Size size = (*pixels)->size;
    // Labels of a picture of another shape belong to another picture.
    const Size labelled = picture.labelled_size;
    const bool is_relative = labelled == Size{1, 1};
    const double aspect = static_cast<double>(size.width) / size.height;
    const double labelled_aspect = static_cast<double>(labelled.width) / labelled.height;
    if (picture.is_labelled && !is_relative && std::abs(aspect / labelled_aspect - 1) > .03)
      return note_broken(
          fmt::format("{}: is {}x{} large, its labels are for {}x{}{}", picture.path, size.width,
                      size.height, labelled.width, labelled.height,
                      Size{size.height, size.width} == labelled
                          ? "; they were made without the turn that its EXIF orientation asks for"
                          : ""));
    submit({.name = picture.name,
            .id = picture.id,
            .size = size,
            .objects = scale_objects(picture, size)},
           *pixels);
  }

  void read_clip(const std::string& clip) {
    const Result<std::int64_t> counted = count_frames(clip);
    if (!counted) return note_broken(counted.error().at(clip).message());
    // Every so many leaves less than twice as many as are wanted, of which every second one or so
    // is taken: the first 40 of 79 frames would be the first half of the clip.
    const auto wanted =
        static_cast<std::int64_t>(std::max<std::size_t>(request_.frames_per_clip, 1));
    const std::int64_t every = std::max<std::int64_t>(1, *counted / wanted);
    const std::int64_t sampled = std::max((*counted + every - 1) / every, wanted);
    Result<std::unique_ptr<Source>> source = open_clip(clip, every);
    if (!source) return note_broken(source.error().at(clip).message());
    std::int64_t taken = 0;
    for (std::int64_t place = 0; taken < wanted && !is_over();) {
      Result<std::optional<SourceFrame>> frame = (*source)->read();
      if (!frame) return note_broken(frame.error().at(clip).message());
      if (!*frame) break;
      if (!(*frame)->picture) continue;
      const bool is_next = place * wanted / sampled >= taken;
      ++place;
      if (!is_next) continue;
      ++taken;
      const std::string name = data_.clips.size() == 1 && data_.path == clip
                                   ? fmt::format("frame {}", (*frame)->frame_index)
                                   : fmt::format("{} frame {}", clip, (*frame)->frame_index);
      submit({.name = name, .id = name, .size = (*frame)->picture->size}, (*frame)->picture);
    }
  }

  Result<std::unique_ptr<Source>> open_clip(const std::string& clip, std::int64_t every) {
    SourceOptions options;
    options.url = clip;
    options.pace = Pace::kFast;
    options.sampling = {.every = every};
    Result<std::unique_ptr<Source>> source = create_source(options, clock_);
    if (!source) return source;
    if (Result<void> opened = (*source)->open(); !opened) return fail(opened.error());
    return source;
  }

  /// As its head announces; where that says nothing, as a raw stream's does, by decoding it all.
  Result<std::int64_t> count_frames(const std::string& clip) {
    constexpr std::int64_t kRarely = 1'000'000'000;  // frames are told of, none is handed on
    Result<std::unique_ptr<Source>> source = open_clip(clip, kRarely);
    if (!source) return fail(source.error());
    const StreamFacts facts = (*source)->facts();
    if (facts.duration_s > 0 && facts.frame_rate_hz > 0)
      return static_cast<std::int64_t>(std::llround(facts.duration_s * facts.frame_rate_hz));
    std::int64_t frames = 0;
    while (!is_over()) {
      Result<std::optional<SourceFrame>> frame = (*source)->read();
      if (!frame || !*frame) break;  // what is wrong is said when it is read for good
      ++frames;
    }
    return frames;
  }

  void submit(SeenPicture seen, const std::shared_ptr<const Picture>& pixels) EXCLUDES(mu_) {
    const std::size_t picture = run_.pictures.size();
    run_.pictures.push_back(std::move(seen));
    for (auto& of_condition : run_.detections) {
      for (auto& of_model : of_condition) of_model.emplace_back();
    }
    for (std::size_t condition = 0; condition < request_.conditions.size(); ++condition) {
      Result<std::shared_ptr<const Picture>> degraded =
          degrade(pixels, request_.conditions[condition], request_.seed * 1'000'003 + picture);
      if (!degraded) return set_failure(degraded.error());
      auto job = std::make_shared<Job>();
      *job = {.picture = picture, .condition = condition, .pixels = *degraded};
      job->found.resize(request_.models.size());
      job->missing = request_.models.size();
      for (std::size_t model = 0; model < request_.models.size(); ++model) {
        if (!start(job, model)) return;
      }
      hand_on_finished();
      if (is_over()) return;
    }
  }

  /// False where the device hangs.
  bool start(const std::shared_ptr<Job>& job, std::size_t model) EXCLUDES(mu_) {
    {
      const MutexLock lock(mu_);
      if (!wait_below(pool_.batches_max())) return false;
      ++in_flight_;
    }
    std::vector<InferenceJob> jobs(1);
    jobs[0].picture = job->pixels;
    const LaneIndex lane = pool_.lane_for(model, job->pixels->size);
    pool_.submit(lane, std::move(jobs), [this, job, model](BatchOutcome&& outcome) {
      take(job, model, std::move(outcome.detections));
    });
    return true;
  }

  /// On a thread of the pool.
  void take(const std::shared_ptr<Job>& job, std::size_t model,
            Result<std::vector<std::vector<Detection>>> detections) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    if (detections)
      job->found[model] = std::move((*detections)[0]);
    else if (!failure_)
      failure_ = detections.error();
    if (--job->missing == 0) finished_.push_back(job);
    --in_flight_;
    ++answered_;
    changed_.notify_all();
  }

  void hand_on_finished() EXCLUDES(mu_) {
    std::vector<std::shared_ptr<Job>> finished;
    {
      const MutexLock lock(mu_);
      finished.swap(finished_);
      if (failure_) return;
    }
    for (const std::shared_ptr<Job>& job : finished) {
      if (hooks_.on_done)
        hooks_.on_done(run_.pictures[job->picture], job->picture, job->condition, *job->pixels,
                       job->found);
      for (std::size_t i = 0; i < job->found.size(); ++i)
        run_.detections[job->condition][i][job->picture] = std::move(job->found[i]);
    }
  }

  void set_failure(const Error& error) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    if (!failure_) failure_ = error;
  }

  /// Until fewer than `most` batches are in flight. False where none comes back for a long time.
  bool wait_below(std::size_t most) REQUIRES(mu_) {
    std::int64_t last = answered_;
    TimePoint since = clock_.now();
    while (in_flight_ >= most && !is_hung_) {
      changed_.wait_for(mu_, std::chrono::seconds(1));
      if (answered_ != last) {
        last = answered_;
        since = clock_.now();
      }
      if (clock_.now() - since > kPatience) is_hung_ = true;
    }
    return !is_hung_;
  }

  bool wait_until_idle() EXCLUDES(mu_) {
    {
      const MutexLock lock(mu_);
      if (!wait_below(1)) return false;
    }
    hand_on_finished();
    return true;
  }

  const DataSet& data_;
  const PictureRunRequest& request_;
  const Clock& clock_;
  const PictureRunHooks& hooks_;
  // Of the thread in run().
  PictureRun run_;
  bool is_hung_ = false;
  Mutex mu_;
  CondVar changed_;
  std::size_t in_flight_ GUARDED_BY(mu_) = 0;
  std::int64_t answered_ GUARDED_BY(mu_) = 0;
  std::vector<std::shared_ptr<Job>> finished_ GUARDED_BY(mu_);  ///< not handed on yet
  std::optional<Error> failure_ GUARDED_BY(mu_);
  DetectorPool pool_;  // last member: its threads end before what they use
};

}  // namespace

Result<PictureRun> run_on_pictures(const DataSet& data, const PictureRunRequest& request,
                                   const Clock& clock, const PictureRunHooks& hooks) {
  auto runner = std::make_unique<Runner>(data, request, clock, hooks);
  Result<PictureRun> run = runner->run();
  if (runner->is_hung()) static_cast<void>(runner.release());
  return run;
}

}  // namespace framemill
