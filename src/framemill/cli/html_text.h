#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace framemill {

/// `text` so that it stands as itself in HTML and SVG, between tags and inside quoted attributes:
/// & < > " ' become references, control characters and bytes that are no UTF-8 become U+FFFD. Not
/// for use inside <script> or <style>. Pure, any thread, O(length).
[[nodiscard]] std::string escape_html(std::string_view text);

/// RFC 4648, with padding.
[[nodiscard]] std::string encode_base64(std::span<const std::uint8_t> bytes);

}  // namespace framemill
