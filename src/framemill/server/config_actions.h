#pragma once

#include <functional>

#include "framemill/base/result.h"
#include "framemill/engine/engine.h"

namespace framemill {

/// What can be done with the configuration of a run; all empty where there is no file. Any thread.
struct ConfigActions {
  /// Reads the file again and applies it. Errors: see Engine::reconfigure(), and the file's own.
  std::function<Result<CameraChanges>()> reload;
  /// Writes what was changed over the API into the file; returns what that was. Errors:
  /// kFailedPrecondition where it must not be written so, kInvalidArgument where it cannot be
  /// expressed, kResourceExhausted where the file cannot be written.
  std::function<Result<CameraChanges>()> save;
  /// What save() would write.
  std::function<CameraChanges()> unsaved;
};

}  // namespace framemill
