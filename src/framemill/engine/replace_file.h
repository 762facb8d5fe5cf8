#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "framemill/base/result.h"

namespace framemill {

/// Writes a picture in one step: a reader sees the old file or the new one, never half of it.
/// Errors: kResourceExhausted; may be tried again.
Result<void> replace_file(const std::string& path, std::span<const std::uint8_t> bytes);

}  // namespace framemill
