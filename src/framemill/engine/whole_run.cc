#include "framemill/engine/whole_run.h"

#include <memory>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/base/mutex.h"
#include "framemill/engine/batch_times.h"
#include "framemill/engine/engine.h"

namespace framemill {
namespace {

/// Over what was inferred, from which on frames always wait.
constexpr double kFullLoad = 1.05;

RunSettings settings_of(const ModelSettings& model, const std::string& clip, const RunLoad& load) {
  RunSettings settings;
  settings.models = {model};
  settings.models.front().name = "profiled";
  for (std::size_t i = 0; i < load.cameras; ++i) {
    CameraSettings camera;
    camera.id = fmt::format("camera-{}", i + 1);
    camera.url = clip;
    camera.model = "profiled";
    camera.rate_hz = load.rate_hz;
    camera.is_looped = true;
    settings.cameras.push_back(std::move(camera));
  }
  settings.engine.policy = load.policy;
  settings.engine.pace = Pace::kLive;
  settings.engine.batch = std::to_string(load.batch);
  settings.server.listen = "off";
  return settings;
}

/// Keeps the batches that come back.
class SpanKeeper {
 public:
  void add(const DispatchRecord& record) EXCLUDES(mu_) {
    const auto* const done = std::get_if<BatchCompleted>(&record);
    if (done == nullptr || !done->service_time) return;
    const MutexLock lock(mu_);
    spans_.push_back({done->at - *done->service_time, done->at, done->frames});
  }
  /// Those that began and ended between `begin` and `end`.
  std::vector<BatchSpan> within(TimePoint begin, TimePoint end) const EXCLUDES(mu_) {
    std::vector<BatchSpan> spans;
    const MutexLock lock(mu_);
    for (const BatchSpan& span : spans_) {
      if (span.begin >= begin && span.end <= end) spans.push_back(span);
    }
    return spans;
  }

 private:
  mutable Mutex mu_;
  std::vector<BatchSpan> spans_ GUARDED_BY(mu_);
};

}  // namespace

Result<RunPoint> measure_run(const ModelSettings& model, const std::string& clip,
                             const RunLoad& load, Duration warm_up, Duration length,
                             const Clock& clock) {
  CHECK(load.cameras >= 1 && load.batch >= 1 && length > Duration::zero());
  SpanKeeper keeper;  // outlives the engine
  Result<std::unique_ptr<Engine>> engine = Engine::create(
      settings_of(model, clip, load), clock,
      {.on_dispatch = [&keeper](const DispatchRecord& record) { keeper.add(record); }});
  if (!engine) return fail(engine.error());
  (*engine)->start();
  std::this_thread::sleep_for(warm_up);
  const TimePoint begin = clock.now();
  std::this_thread::sleep_for(length);
  const TimePoint end = clock.now();
  const std::size_t slots = (*engine)->report(ReportDetail::kQuick).batches_max;
  (*engine)->request_stop();
  (*engine)->wait();
  (*engine)->finish();
  const std::vector<BatchSpan> spans = keeper.within(begin, end);
  if (spans.empty()) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: a run of {} cameras inferred nothing", clip, load.cameras));
  }
  double frames = 0;
  for (const BatchSpan& span : spans) frames += static_cast<double>(span.frames);
  const Likeness likeness = find_likeness(spans);
  RunPoint point{.cameras = load.cameras,
                 .rate_hz = load.rate_hz,
                 .frames_per_s = frames / to_seconds(end - begin),
                 .batches = sort_batches(spans),
                 .likeness = likeness.share,
                 .likeness_time = likeness.time};
  const double asked = static_cast<double>(load.cameras) * load.rate_hz;
  if (asked > kFullLoad * point.frames_per_s) point.handover = mean_handover(spans, slots);
  return point;
}

}  // namespace framemill
