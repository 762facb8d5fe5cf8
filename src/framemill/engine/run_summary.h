#pragma once

#include <string>

#include "framemill/base/result.h"
#include "framemill/engine/engine.h"

namespace framemill {

/// The summary of design section 4 as one JSON object, indented, with a newline at the end. Times
/// in ms or s as the key says; a figure that was not measured is null.
[[nodiscard]] std::string to_summary_json(const RunReport& report);

/// Writes it to `path`, "-" for standard output. Errors: kInvalidArgument with path and reason.
[[nodiscard]] Result<void> write_summary(const RunReport& report, const std::string& path);

}  // namespace framemill
