#include "framemill/plan/model_name.h"

#include <algorithm>
#include <cctype>

namespace framemill {
namespace {

bool is_same_text(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

bool is_model_named(std::string_view wanted, std::string_view file_name) {
  return wanted.empty() || is_same_text(wanted, file_name) ||
         is_same_text(wanted, file_name.substr(0, file_name.rfind('.')));
}

}  // namespace framemill
