#include "framemill/engine/camera_cost.h"

#include <memory>

#include <fmt/format.h>

#include "framemill/engine/engine.h"

namespace framemill {
namespace {

constexpr std::int64_t kSampledFrames = 200;
constexpr std::int64_t kDeliveredFrames = 1000;

}  // namespace

Result<CameraCost> measure_camera_cost(const ModelSettings& model, const std::string& clip,
                                       const Clock& clock) {
  RunSettings settings;
  settings.models = {model};
  settings.models.front().name = "profiled";
  CameraSettings camera;
  camera.id = "camera";
  camera.url = clip;
  camera.model = "profiled";
  camera.rate_hz = 10;
  camera.is_looped = true;
  settings.cameras = {camera};
  settings.engine.policy = PolicyKind::kAdaptive;
  settings.engine.budget.share = .1;
  settings.engine.pace = Pace::kFast;
  settings.engine.max_answers = kSampledFrames;
  settings.engine.max_frames = kDeliveredFrames;
  settings.server.listen = "off";
  Result<std::unique_ptr<Engine>> engine = Engine::create(settings, clock);
  if (!engine) return fail(engine.error());
  (*engine)->start();
  (*engine)->wait();
  const RunReport report = (*engine)->finish();
  const CameraReport& done = report.cameras.front();
  if (done.counts.sampled() == 0 || done.status.facts.frame_rate_hz <= 0) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: has no frames, or tells no frame rate", clip));
  }
  return CameraCost{
      .fps = done.status.facts.frame_rate_hz,
      .decode_s =
          to_seconds(done.status.source.decode_cpu) / static_cast<double>(done.counts.captured),
      .carry_s = to_seconds(done.counts.motion_cpu) / static_cast<double>(done.counts.sampled())};
}

}  // namespace framemill
