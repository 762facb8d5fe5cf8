#pragma once

#include <string>
#include <string_view>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"

namespace framemill {

/// Whether `path` can be written to as far as can be told beforehand: a file with the right to it,
/// or one that may be made; "-" always. `what`: "results", "the summary". Creates nothing. Errors:
/// kInvalidArgument with path, reason and what to do.
[[nodiscard]] Result<void> check_output_path(const std::string& path, std::string_view what);

/// That of results, summary, trace, snapshots and sinks that are files: tells before models are
/// loaded what would end the run afterwards. Errors: kInvalidArgument.
[[nodiscard]] Result<void> check_output_paths(const RunSettings& settings);

}  // namespace framemill
