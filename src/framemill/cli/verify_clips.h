#pragma once

#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/config/workload.h"
#include "framemill/video/source.h"

namespace framemill {

/// A clip that cameras are played from.
struct PlayedClip {
  std::string path;
  StreamFacts facts;
};

/// Opens each clip for what its head says. Errors: those of Source::open(), with the path.
[[nodiscard]] Result<std::vector<PlayedClip>> open_clips(const std::vector<std::string>& paths,
                                                         const Clock& clock);

/// A workload as the clips play it, and how that is another one than was asked for.
struct ClipWorkload {
  Workload workload;
  std::vector<std::string> differences;  ///< for people, one a group and clip
};

/// The cameras of `workload` play `clips` in turn, in their order; each group becomes one a clip,
/// of the clip's codec, size and frame rate, that asks for the same share. At least one clip.
/// Errors: kInvalidArgument for a clip with fewer frames a second than a group's `rate`.
[[nodiscard]] Result<ClipWorkload> play_clips(const Workload& workload,
                                              const std::vector<PlayedClip>& clips);

}  // namespace framemill
