#include "framemill/config/expand_variables.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "framemill/base/url.h"

namespace framemill {
namespace {

bool is_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && name.size() <= 256 && is_letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

/// The part of `text` that is user name and password of a URL: [first, second). The text as written
/// decides, before any variable is replaced.
std::pair<std::size_t, std::size_t> find_credentials(std::string_view text) {
  if (url_scheme(text).empty()) return {0, 0};
  const std::size_t start = text.find("://") + 3;
  const std::size_t authority_end = std::min(text.find_first_of("/?#", start), text.size());
  const std::size_t at = text.substr(0, authority_end).rfind('@');
  return at == std::string_view::npos || at < start ? std::pair<std::size_t, std::size_t>{0, 0}
                                                    : std::pair{start, at};
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

Result<std::string> expand_variables(std::string_view text, const EnvironmentLookup& environment) {
  const auto [credentials_start, credentials_end] = find_credentials(text);
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("$$")) {
      result += '$';
      i += 2;
      continue;
    }
    if (!rest.starts_with("${")) {
      result += text[i++];
      continue;
    }
    const std::size_t close = rest.find('}');
    const std::string_view name =
        close == std::string_view::npos ? std::string_view() : rest.substr(2, close - 2);
    if (!is_name(name))
      return fail(ErrorCode::kInvalidArgument,
                  "a ${ is not followed by a variable's name and }; write ${NAME}, or $$ for a "
                  "dollar sign");
    const std::optional<std::string> value = environment(std::string(name));
    if (!value)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("the environment variable {} is not set; set it, or write $$ for a "
                              "dollar sign",
                              name));
    const bool is_in_credentials = i >= credentials_start && i < credentials_end;
    result += is_in_credentials ? percent_encode(*value) : *value;
    i += close + 1;
  }
  return result;
}

}  // namespace framemill
