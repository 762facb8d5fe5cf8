#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framemill/config/run_settings.h"

namespace framemill {

/// True where `url` is a file's path: no scheme, no device.
[[nodiscard]] bool is_file_path(std::string_view url);

/// A name for a camera without one: a file's name without extension, a device's name, a URL's host
/// and path; characters that a name may not have become '-'. Never holds credentials or a query.
[[nodiscard]] std::string suggest_camera_id(std::string_view url);

/// Gives every camera without an id the suggested one; where that is taken, "-2", "-3", ... follow.
void assign_camera_ids(std::vector<CameraSettings>& cameras);

}  // namespace framemill
