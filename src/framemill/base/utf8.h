#pragma once

#include <string_view>

namespace framemill {

/// Whether `text` is well-formed UTF-8 (RFC 3629): no surrogates, no overlong forms. Pure, any
/// thread.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace framemill
