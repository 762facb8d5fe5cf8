#include "framemill/video/source_url.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "framemill/video/source.h"

namespace framemill {
namespace {

constexpr std::string_view kDevicePrefix = "/dev/video";

/// Place of the parts of scheme://user:password@host/path.
struct UrlParts {
  std::string scheme;         // lower case; empty: no scheme
  std::size_t authority = 0;  // index behind "://"
  std::size_t host = 0;       // index behind "user:password@", or authority
};

bool is_scheme_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '-' || c == '.';
}

UrlParts split(std::string_view url) {
  UrlParts parts;
  const std::size_t mark = url.find("://");
  if (mark == std::string_view::npos || mark == 0) return parts;
  const std::string_view scheme = url.substr(0, mark);
  if (!std::ranges::all_of(scheme, is_scheme_char)) return parts;
  for (const char c : scheme)
    parts.scheme += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  parts.authority = mark + 3;
  parts.host = parts.authority;
  // The last '@' before the path ends the credentials. People also paste passwords with a bare '/',
  // '?' or '#'; then a ':' which no port number explains stands before that character.
  const std::size_t path = std::min(url.find_first_of("/?#", parts.authority), url.size());
  const std::size_t colon = std::min(url.find(':', parts.authority), path);
  const std::string_view port = url.substr(colon, path - colon);
  const bool is_port = port.find_first_not_of(":0123456789[]abcdefABCDEF") == port.npos;
  const std::size_t end = is_port ? path : url.size();
  const std::size_t at = url.substr(0, end).rfind('@');
  if (at != std::string_view::npos && at >= parts.authority) parts.host = at + 1;
  return parts;
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~')
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", byte);
  }
  return encoded;
}

/// Some cameras take credentials as parameters: ".../user=admin&password=x&channel=1".
std::string hide_secret_values(std::string text) {
  constexpr std::array<std::string_view, 8> kKeys{"user", "pass",   "pwd", "token",
                                                  "auth", "secret", "key", "sig"};
  for (std::size_t equals = text.find('='); equals != std::string::npos;
       equals = text.find('=', equals + 1)) {
    const std::size_t before = text.find_last_of("/?&;_", equals);
    std::string key =
        text.substr(before == std::string::npos ? 0 : before + 1, equals - before - 1);
    std::ranges::transform(key, key.begin(), [](unsigned char c) { return std::tolower(c); });
    if (std::ranges::none_of(kKeys, [&key](std::string_view k) { return key.find(k) != key.npos; }))
      continue;
    const std::size_t end = std::min(text.find_first_of("&;#", equals), text.size());
    text.replace(equals + 1, end - equals - 1, "***");
  }
  return text;
}

}  // namespace

Result<UrlKind> classify_url(std::string_view url) {
  if (url.empty())
    return fail(ErrorCode::kInvalidArgument,
                R"(the URL is empty; write one like "rtsp://host/path", or a file's path)");
  if (std::ranges::any_of(url, [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    return fail(ErrorCode::kInvalidArgument, "the URL holds a control character; remove it");
  const std::string scheme = split(url).scheme;
  if (scheme.empty()) return url.starts_with(kDevicePrefix) ? UrlKind::kDevice : UrlKind::kFile;
  constexpr std::array<std::pair<std::string_view, UrlKind>, 7> kSchemes{{
      {"rtsp", UrlKind::kRtsp},
      {"rtsps", UrlKind::kRtsp},
      {"http", UrlKind::kHttp},
      {"https", UrlKind::kHttp},
      {"udp", UrlKind::kUdp},
      {"file", UrlKind::kFile},
      {"synthetic", UrlKind::kSynthetic},
  }};
  for (const auto& [name, kind] : kSchemes)
    if (scheme == name) return kind;
  const std::string_view hint =
      scheme == "rtp" ? "; plain RTP needs a description of the stream: serve it by RTSP" : "";
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("{}: the scheme \"{}\" is not supported; use rtsp, rtsps, http, https, udp "
                  "(MPEG-TS), synthetic, /dev/videoN or a file's path{}",
                  redact_url(std::string(url)), scheme, hint));
}

std::string path_of_url(std::string_view url) {
  constexpr std::string_view kFileScheme = "file://";
  if (split(url).scheme == "file") url.remove_prefix(kFileScheme.size());
  return std::string(url);
}

std::string with_credentials(std::string_view url, std::string_view username,
                             std::string_view password) {
  const UrlParts parts = split(url);
  if (username.empty() || parts.scheme.empty()) return std::string(url);
  const std::string secret = password.empty() ? "" : ":" + percent_encode(password);
  return fmt::format("{}{}{}@{}", url.substr(0, parts.authority), percent_encode(username), secret,
                     url.substr(parts.host));
}

std::string redact_url(const std::string& url) {
  const UrlParts parts = split(url);
  if (parts.scheme.empty()) return url;
  return url.substr(0, parts.authority) + hide_secret_values(url.substr(parts.host));
}

bool is_live_url(const std::string& url) {
  const Result<UrlKind> kind = classify_url(url);
  return kind && *kind != UrlKind::kFile && *kind != UrlKind::kSynthetic;
}

}  // namespace framemill
