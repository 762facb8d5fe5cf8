#pragma once

#include <string>

#include "framemill/base/result.h"

namespace framemill {

/// Writes all of `text` or leaves what was there: readers never see a part of it. Errors:
/// kResourceExhausted with path and reason.
[[nodiscard]] Result<void> replace_file(const std::string& path, const std::string& text);

/// Whether replace_file() could write there now; to know before hours are spent. Leaves nothing
/// behind. Errors: kInvalidArgument with path and reason.
[[nodiscard]] Result<void> check_replaceable(const std::string& path);

}  // namespace framemill
