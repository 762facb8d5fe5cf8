#include "framemill/engine/run_throughput.h"

#include <memory>
#include <thread>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/engine/engine.h"

namespace framemill {
namespace {

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
  settings.server.listen = "off";
  return settings;
}

double inferences_of(const Engine& engine) {
  const RunReport report = engine.report(ReportDetail::kQuick);
  return static_cast<double>(report.batches) * report.batch_mean;
}

}  // namespace

Result<double> measure_run_throughput(const ModelSettings& model, const std::string& clip,
                                      const RunLoad& load, Duration warm_up, Duration length,
                                      const Clock& clock) {
  CHECK(load.cameras >= 1 && length > Duration::zero());
  Result<std::unique_ptr<Engine>> engine = Engine::create(settings_of(model, clip, load), clock);
  if (!engine) return fail(engine.error());
  (*engine)->start();
  std::this_thread::sleep_for(warm_up);
  const double before = inferences_of(**engine);
  const TimePoint begin = clock.now();
  std::this_thread::sleep_for(length);
  const double inferences = inferences_of(**engine) - before;
  const double seconds = to_seconds(clock.now() - begin);
  (*engine)->request_stop();
  (*engine)->wait();
  (*engine)->finish();
  if (inferences <= 0 || seconds <= 0) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: a run of {} cameras inferred nothing", clip, load.cameras));
  }
  return inferences / seconds;
}

}  // namespace framemill
