#pragma once

#include <span>

#include "framemill/server/static_files.h"

namespace framemill {

/// The files of the dashboard, part of the binary.
[[nodiscard]] std::span<const StaticFile> dashboard_files();

}  // namespace framemill
