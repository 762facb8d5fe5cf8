#include "framemill/cli/compare_clips.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "framemill/video/source.h"
#include "framemill/vision/annotate.h"

namespace framemill {
namespace {

/// The clip as a run at pace fast reads it.
SourceOptions source_of(const CameraSettings& camera) {
  SourceOptions options;
  options.url = camera.url;
  options.pace = Pace::kFast;
  options.start = camera.start;
  options.sampling = {.rate_hz = camera.rate_hz, .every = camera.every};
  return options;
}

Result<std::unique_ptr<Source>> open_clip(const CameraSettings& camera, const Clock& clock) {
  Result<std::unique_ptr<Source>> source = create_source(source_of(camera), clock);
  if (!source) return source;
  if (const Result<void> opened = (*source)->open(); !opened) return fail(opened.error());
  return source;
}

double sampled_about(const StreamFacts& facts, const CameraSettings& camera,
                     const EngineSettings& engine) {
  double seconds = std::max(0.0, facts.duration_s - to_seconds(camera.start));
  if (engine.run_for > Duration::zero()) seconds = std::min(seconds, to_seconds(engine.run_for));
  double frames = std::round(seconds * facts.frame_rate_hz);
  if (engine.max_frames > 0) frames = std::min(frames, static_cast<double>(engine.max_frames));
  double sampled = camera.every > 0 ? std::ceil(frames / static_cast<double>(camera.every))
                                    : std::min(frames, std::ceil(seconds * camera.rate_hz));
  if (engine.max_answers > 0) sampled = std::min(sampled, static_cast<double>(engine.max_answers));
  return sampled;
}

}  // namespace

std::vector<ClipFacts> look_at_clips(const RunSettings& settings, const Clock& clock) {
  std::vector<ClipFacts> clips;
  for (const CameraSettings& camera : settings.cameras) {
    ClipFacts& clip = clips.emplace_back();
    const Result<std::unique_ptr<Source>> source = open_clip(camera, clock);
    if (source)
      clip.sampled_about = sampled_about((*source)->facts(), camera, settings.engine);
    else
      clip.problem = source.error().message();
  }
  return clips;
}

std::vector<std::vector<std::uint8_t>> draw_missed_frames(const RunSettings& settings,
                                                          std::span<const WorstMiss> misses,
                                                          const Clock& clock,
                                                          const std::function<bool()>& is_stopped) {
  std::vector<std::vector<std::uint8_t>> pictures(misses.size());
  std::map<CameraIndex, std::multimap<std::int64_t, std::size_t>> places;  // by clip, by frame
  for (std::size_t i = 0; i < misses.size(); ++i)
    places[misses[i].camera].emplace(misses[i].frame_index, i);
  for (auto& [camera, wanted] : places) {
    const Result<std::unique_ptr<Source>> source = open_clip(settings.cameras[camera], clock);
    while (source && !wanted.empty() && !is_stopped()) {
      const Result<std::optional<SourceFrame>> frame = (*source)->read();
      if (!frame || !*frame) break;
      const auto [first, last] = wanted.equal_range((*frame)->frame_index);
      if (first != last && (*frame)->picture) {
        Result<std::vector<std::uint8_t>> jpeg = draw_jpeg(*(*frame)->picture, {}, {}, "");
        for (auto it = first; jpeg && it != last; ++it) pictures[it->second] = *jpeg;
      }
      wanted.erase(first, last);
    }
  }
  return pictures;
}

}  // namespace framemill
