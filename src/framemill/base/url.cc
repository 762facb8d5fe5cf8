#include "framemill/base/url.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace framemill {
namespace {

constexpr std::string_view kSchemeEnd = "://";

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

/// Where the scheme's name ends, or npos.
std::size_t find_scheme_end(std::string_view url) {
  const std::size_t end = url.find(kSchemeEnd);
  if (end == 0 || end == std::string_view::npos) return std::string_view::npos;
  for (const char c : url.substr(0, end))
    if (!is_unreserved(c) && c != '+') return std::string_view::npos;
  return end;
}

/// How many characters after "://" belong to user name, password and the '@' after them; 0: none.
std::size_t credentials_length(std::string_view after_scheme) {
  const std::size_t last_at = after_scheme.rfind('@');
  if (last_at == std::string_view::npos) return 0;
  const std::string_view authority = after_scheme.substr(0, after_scheme.find_first_of("/?#"));
  if (authority.find('@') != std::string_view::npos) {
    // "u:p@ss/w@host": an '@' or '/' inside an unencoded password may let the host look closer than
    // it is, so with a password in sight everything up to the last '@' goes.
    const bool has_password = authority.find(':') < authority.rfind('@');
    return (has_password ? last_at : authority.rfind('@')) + 1;
  }
  if (authority.starts_with('[')) return 0;  // an IPv6 address; the '@' belongs to the path
  // "u:p/ss@host": what stands after ':' is no port, so the '/' was part of a password.
  const std::size_t colon = authority.find(':');
  if (colon == std::string_view::npos) return 0;
  const std::string_view port = authority.substr(colon + 1);
  const bool is_port = !port.empty() && port.size() <= 5 &&
                       std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
  return is_port ? 0 : last_at + 1;
}

bool is_secret_parameter(std::string_view name) {
  static constexpr std::array kSecrets = {"user", "usr",   "pass",   "pwd",  "psw", "token",
                                          "key",  "login", "secret", "auth", "sig"};
  std::string name_lower(name);
  std::ranges::transform(name_lower, name_lower.begin(), lower);
  return std::ranges::any_of(
      kSecrets, [&](const char* part) { return name_lower.find(part) != std::string::npos; });
}

}  // namespace

std::string url_scheme(std::string_view url) {
  const std::size_t end = find_scheme_end(url);
  if (end == std::string_view::npos) return {};
  std::string scheme(url.substr(0, end));
  std::ranges::transform(scheme, scheme.begin(), lower);
  return scheme;
}

bool has_credentials(std::string_view url) {
  const std::size_t end = find_scheme_end(url);
  return end != std::string_view::npos &&
         credentials_length(url.substr(end + kSchemeEnd.size())) > 0;
}

std::string strip_credentials(std::string_view url) {
  const std::size_t scheme_end = find_scheme_end(url);
  if (scheme_end == std::string_view::npos) return std::string(url);
  const std::size_t start = scheme_end + kSchemeEnd.size();
  std::string result(url.substr(0, start));
  const std::string_view rest = url.substr(start);
  result += rest.substr(credentials_length(rest));
  return result;
}

bool is_camera_device(std::string_view path) {
  return path.starts_with("/dev/video") || path.starts_with("/dev/v4l/");
}

std::string redact(std::string_view url) {
  std::string result = strip_credentials(url);
  if (find_scheme_end(url) == std::string_view::npos) return result;
  // Some cameras take parameters in the path, too: "rtsp://host/user=admin&password=x&channel=1".
  for (std::size_t equals = result.find('='); equals != std::string::npos;
       equals = result.find('=', equals + 1)) {
    const std::size_t before = result.find_last_of("/?&;", equals);
    const std::size_t name = before == std::string::npos ? 0 : before + 1;
    if (!is_secret_parameter(std::string_view(result).substr(name, equals - name))) continue;
    const std::size_t end = std::min(result.find_first_of("&;#", equals), result.size());
    result.replace(equals + 1, end - equals - 1, "***");
  }
  return result;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      result += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    result += '%';
    result += kHex[byte >> 4U];
    result += kHex[byte & 0xFU];
  }
  return result;
}

}  // namespace framemill
