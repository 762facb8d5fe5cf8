#include "framemill/server/access.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "framemill/base/text_case.h"
#include "framemill/base/word_list.h"

namespace framemill {
namespace {

constexpr std::string_view kScheme = "bearer ";
constexpr std::string_view kBearerProtocol = "bearer.";

/// "name:8460" and "[::1]:8460" without their port.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    return end == std::string_view::npos ? host : host.substr(0, end + 1);
  }
  return host.substr(0, host.find(':'));
}

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kNone:
      return "none";
    case Role::kView:
      return "view";
    case Role::kOperate:
      return "operate";
    case Role::kAdmin:
      return "admin";
  }
  return "none";
}

bool equals_in_constant_time(std::string_view secret, std::string_view presented) {
  if (secret.empty()) return false;
  // Goes over what was presented, so that the time depends on that alone.
  std::size_t difference = secret.size() ^ presented.size();
  for (std::size_t i = 0; i < presented.size(); ++i) {
    difference |= static_cast<std::size_t>(static_cast<unsigned char>(presented[i]) ^
                                           static_cast<unsigned char>(secret[i % secret.size()]));
  }
  return difference == 0;
}

std::string decode_base64url(std::string_view text) {
  std::string decoded;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    std::uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<std::uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<std::uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      value = static_cast<std::uint32_t>(c - '0') + 52;
    } else if (c == '-') {
      value = 62;
    } else if (c == '_') {
      value = 63;
    } else {
      return {};
    }
    bits = bits << 6U | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      decoded.push_back(static_cast<char>(bits >> static_cast<unsigned>(count) & 0xFFU));
    }
  }
  return decoded;
}

Access::Access(std::vector<AccessToken> tokens, std::vector<std::string> hosts)
    : tokens_(std::move(tokens)), hosts_([&hosts] {
        std::vector<std::string> lowered;
        for (const std::string& host : hosts) lowered.push_back(to_lower(host));
        return lowered;
      }()) {}

Principal Access::who_has(std::string_view secret) const {
  const AccessToken* found = nullptr;
  for (const AccessToken& token : tokens_) {  // all of them, so that none is found sooner
    if (equals_in_constant_time(token.secret, secret)) found = &token;
  }
  return found != nullptr ? Principal{found->name, found->role} : Principal{};
}

Principal Access::who_is(std::string_view authorization) const {
  if (tokens_.empty()) return {"local", Role::kAdmin};
  if (to_lower(authorization.substr(0, kScheme.size())) != kScheme) return {};
  return who_has(authorization.substr(kScheme.size()));
}

Principal Access::who_is_by_protocols(std::string_view protocols) const {
  if (tokens_.empty()) return {"local", Role::kAdmin};
  for (const std::string& one : split_words(protocols)) {
    if (!one.starts_with(kBearerProtocol)) continue;
    return who_has(decode_base64url(std::string_view(one).substr(kBearerProtocol.size())));
  }
  return {};
}

bool Access::is_host_allowed(std::string_view host) const {
  if (!tokens_.empty()) return true;
  static constexpr std::array<std::string_view, 3> kLoopback{"localhost", "127.0.0.1", "[::1]"};
  const std::string name = to_lower(without_port(host));
  return std::ranges::find(kLoopback, name) != kLoopback.end() ||
         std::ranges::find(hosts_, name) != hosts_.end();
}

bool Access::is_origin_allowed(std::string_view origin, std::string_view host) const {
  if (origin.empty()) return true;
  const std::size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return false;  // "null": a sandboxed page, a file
  const std::string of_page = to_lower(origin.substr(scheme + 3));
  if (of_page == to_lower(host)) return true;
  // Behind a proxy the server sees another Host than the page was loaded from.
  return std::ranges::find(hosts_, without_port(of_page)) != hosts_.end();
}

}  // namespace framemill
