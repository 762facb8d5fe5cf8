#include "framemill/cli/verify_clips.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

/// 29.97 frames a second are 30.
constexpr double kRateTolerance = .01;

bool is_as_fast(double fps, double rate_hz) { return fps >= (1 - kRateTolerance) * rate_hz; }

std::string describe(const std::string& codec, Size size, double fps) {
  return fmt::format("{} {}x{} at {:.4g}/s", codec, size.width, size.height, fps);
}

/// `group` as `clip` plays it; what the clip's head does not say is as in the group.
CameraGroup played_as(const CameraGroup& group, const PlayedClip& clip, std::int64_t count) {
  CameraGroup played = group;
  played.count = count;
  played.codec = clip.facts.codec;
  played.resolution = clip.facts.size;
  if (clip.facts.frame_rate_hz > 0) played.fps = clip.facts.frame_rate_hz;
  played.rate_hz = std::min(group.rate_hz, played.fps);
  if (group.budget.per_second) {  // of all the group's cameras
    played.budget = {.share = inferred_share(group)};
  }
  return played;
}

bool is_as_asked(const CameraGroup& group, const CameraGroup& played) {
  return played.codec == group.codec && played.resolution == group.resolution &&
         is_as_fast(played.fps, group.fps) && is_as_fast(group.fps, played.fps);
}

}  // namespace

Result<std::vector<PlayedClip>> open_clips(const std::vector<std::string>& paths,
                                           const Clock& clock) {
  std::vector<PlayedClip> clips;
  for (const std::string& path : paths) {
    Result<std::unique_ptr<Source>> source = create_source({.url = path}, clock);
    if (!source) return fail(source.error().at("--clip"));
    if (const Result<void> opened = (*source)->open(); !opened) {
      return fail(opened.error().at("--clip"));
    }
    clips.push_back({path, (*source)->facts()});
  }
  return clips;
}

Result<ClipWorkload> play_clips(const Workload& workload, const std::vector<PlayedClip>& clips) {
  CHECK(!clips.empty());
  ClipWorkload result{.workload = workload};
  result.workload.cameras.clear();
  std::size_t first = 0;  // camera of the group, over all
  for (const CameraGroup& group : workload.cameras) {
    std::vector<std::int64_t> counts(clips.size());
    for (std::int64_t i = 0; i < group.count; ++i) ++counts[first++ % clips.size()];
    for (std::size_t c = 0; c < clips.size(); ++c) {
      if (counts[c] == 0) continue;
      const CameraGroup played = played_as(group, clips[c], counts[c]);
      if (!is_as_fast(played.fps, group.rate_hz)) {
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("cameras[{}].rate: {:g} frames a second are to be sampled, and {} "
                                "has {:.4g}; give a clip that has as many, or a lower rate",
                                group.name, group.rate_hz, clips[c].path, played.fps));
      }
      if (!is_as_asked(group, played)) {
        result.differences.push_back(
            fmt::format("cameras[{}] are {} in the workload, and {} is {}: that is what is "
                        "predicted and played",
                        group.name, describe(group.codec, group.resolution, group.fps),
                        clips[c].path, describe(played.codec, played.resolution, played.fps)));
      }
      result.workload.cameras.push_back(played);
    }
  }
  return result;
}

}  // namespace framemill
