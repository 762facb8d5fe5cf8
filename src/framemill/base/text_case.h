#pragma once

#include <string>
#include <string_view>

namespace framemill {

/// `text` with the letters A to Z small; other bytes stay, so UTF-8 stays valid. Pure.
[[nodiscard]] std::string to_lower(std::string_view text);

/// The same with the letters a to z large.
[[nodiscard]] std::string to_upper(std::string_view text);

/// Whether both are the same where the case of A to Z counts nothing. Pure.
[[nodiscard]] bool is_same_text(std::string_view a, std::string_view b);

}  // namespace framemill
