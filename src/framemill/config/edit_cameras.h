#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"

namespace framemill {

/// `text`, a configuration that says `before`, changed so that it says `after`. Only what differs
/// is written anew: comments, order, layout and variables (${NAME}) of all else stay as they are,
/// and a setting that did not change keeps its text even in a camera that did. A camera written in
/// braces is one line afterwards if it changed; `cameras: [...]` becomes a list with a line each.
///
/// What cannot be expressed (a camera behind an alias, a rule of `defaults:` that one camera shall
/// not have) may come out wrong: parse the result and compare before it is used.
/// `before`: the cameras as parse_settings() of `text` gives them; `defaults` likewise.
/// Secrets that `after` holds and `before` does not are written as they are. Pure; any thread.
/// Errors: kInvalidArgument where `text` is no YAML, or not what `before` came from.
[[nodiscard]] Result<std::string> edit_cameras(std::string_view text,
                                               const std::vector<CameraSettings>& before,
                                               const std::vector<CameraSettings>& after,
                                               const CameraSettings& defaults);

/// Whether edit_cameras() would write a password, or a URL with one, in clear.
[[nodiscard]] bool writes_secret(const std::vector<CameraSettings>& before,
                                 const std::vector<CameraSettings>& after,
                                 const CameraSettings& defaults);

}  // namespace framemill
