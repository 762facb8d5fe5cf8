#include "framemill/base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace framemill {

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    std::size_t more = 0;
    std::uint32_t code = byte;
    std::uint32_t least = 0;
    if (byte >= 0xF0 && byte < 0xF8) {
      more = 3, code = byte & 0x07U, least = 0x10000;
    } else if (byte >= 0xE0 && byte < 0xF0) {
      more = 2, code = byte & 0x0FU, least = 0x800;
    } else if (byte >= 0xC0 && byte < 0xE0) {
      more = 1, code = byte & 0x1FU, least = 0x80;
    } else if (byte >= 0x80) {
      return false;
    }
    if (more >= text.size() - i) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0U) != 0x80U) return false;
      code = code << 6U | (next & 0x3FU);
    }
    if (more > 0 && (code < least || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)))
      return false;
    i += more + 1;
  }
  return true;
}

}  // namespace framemill
