#include "framemill/engine/model_speed.h"

#include <memory>
#include <utility>

#include "framemill/engine/detector_options.h"
#include "framemill/engine/model_profiler.h"
#include "framemill/video/synthetic_source.h"

namespace framemill {
namespace {

constexpr std::int64_t kPictures = 16;

}  // namespace

Result<double> measure_model_speed(const ModelSettings& model, Size size, std::size_t batch,
                                   const Clock& clock) {
  ModelProfilerOptions options;
  const SyntheticPainter painter({.size = size, .objects = 5});
  for (std::int64_t i = 0; i < kPictures; ++i) options.pictures.push_back(painter.paint(i * 10));
  options.warm_up = std::chrono::milliseconds(200);
  options.window = std::chrono::milliseconds(400);
  options.windows_max = 4;
  const auto load = [&](std::size_t streams) -> Result<std::unique_ptr<Detector>> {
    EngineSettings engine;
    engine.streams = streams;
    Result<DetectorOptions> detector = detector_options(model, engine);
    if (!detector) return fail(detector.error());
    detector->expected_source = size;
    return Detector::load(*detector);
  };
  return ModelProfiler(std::move(options), load, clock, [](const std::string&, double) {})
      .measure_speed(batch);
}

}  // namespace framemill
