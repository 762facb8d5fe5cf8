#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "framemill/base/result.h"

namespace framemill {

/// Writes all of `bytes` or leaves what was there: readers never see a part of it. Errors:
/// kResourceExhausted with path and reason; may be tried again.
[[nodiscard]] Result<void> replace_file(const std::string& path,
                                        std::span<const std::uint8_t> bytes);
[[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view text);

/// replace_file() for a file that belongs to somebody else: where `path` is a link the file behind
/// it is replaced, its rights stay, its owner as far as this process may give it away, and the disk
/// has it before this returns. Errors: as replace_file(), with a remedy.
[[nodiscard]] Result<void> rewrite_file(const std::string& path, std::string_view text);

/// Whether replace_file() could write there now; to know before hours are spent. Leaves nothing
/// behind. Errors: kInvalidArgument with path and reason.
[[nodiscard]] Result<void> check_replaceable(const std::string& path);

}  // namespace framemill
