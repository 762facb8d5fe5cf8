#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "framemill/base/result.h"
#include "framemill/plan/scene_trace.h"

namespace framemill {

/// A trace as `simulate` uses it: what its cameras did, and whether this framemill would decide
/// the same again.
struct RecordedScenes {
  std::string path;
  std::string run;        ///< whose trace it is
  std::string framemill;  ///< version that wrote it
  std::int64_t records = 0;
  std::int64_t lost = 0;      ///< records that are not in it
  std::int64_t replayed = 0;  ///< records up to the first difference
  std::string difference;     ///< the first one, with its line; empty: all decisions are the same
  std::shared_ptr<const SceneTrace> scenes;
};

/// Reads a trace once, replays its decisions and gathers its scenes.
/// Errors: those of TraceReader and SceneTraceBuilder, and kInvalidArgument with the line for
/// records that cannot have come from a run.
[[nodiscard]] Result<RecordedScenes> read_scenes(const std::string& path);

}  // namespace framemill
