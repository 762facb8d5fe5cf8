#pragma once

#include <string>

#include "framemill/cli/eval_report.h"

namespace framemill {

/// The report as one HTML page, pictures included, that loads nothing from elsewhere. The same
/// report gives the same bytes.
[[nodiscard]] std::string to_eval_page(const EvalReport& report);

}  // namespace framemill
