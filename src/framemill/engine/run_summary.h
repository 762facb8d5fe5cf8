#pragma once

#include <string>

#include "framemill/base/result.h"
#include "framemill/engine/engine.h"

namespace framemill {

/// The summary of design section 4 as one JSON object, indented, with a newline at the end. Times
/// in ms or s as the key says; a figure that was not measured is null.
[[nodiscard]] std::string to_summary_json(const RunReport& report);

/// Whether a summary can be written to `path` later: tells at the start what would cost the figures
/// at the end. Creates nothing. Errors: kInvalidArgument with path, reason and what to do.
[[nodiscard]] Result<void> check_summary_path(const std::string& path);

/// Writes it to `path`, "-" for standard output. Errors: kInvalidArgument with path and reason.
[[nodiscard]] Result<void> write_summary(const RunReport& report, const std::string& path);

}  // namespace framemill
