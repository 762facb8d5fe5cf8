#include "framemill/server/camera_address.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include "framemill/base/url.h"
#include "framemill/config/setting_value.h"

namespace framemill {
namespace {

Failure wrong(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

/// A numeric address as 4 or 16 bytes; IPv4 addresses in IPv6 form are what they stand for. Empty
/// where it is none.
std::string address_bytes(std::string_view text) {
  const std::string address(text.substr(0, text.find('%')));  // without the interface's name
  std::array<char, 16> bytes{};
  if (inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) return {bytes.data(), 4};
  if (inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return {};
  constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  constexpr std::array<unsigned char, 12> kTranslated{0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0};
  if (std::memcmp(bytes.data(), kMapped.data(), kMapped.size()) == 0 ||
      std::memcmp(bytes.data(), kTranslated.data(), kTranslated.size()) == 0) {
    return {bytes.data() + 12, 4};
  }
  return {bytes.data(), 16};
}

bool is_inside(const std::string& address, const std::string& network, int prefix_bits) {
  if (address.size() != network.size()) return false;
  for (int bit = 0; bit < prefix_bits; ++bit) {
    const auto byte = static_cast<std::size_t>(bit / 8);
    const unsigned mask = 0x80U >> static_cast<unsigned>(bit % 8);
    if (((static_cast<unsigned>(address[byte]) ^ static_cast<unsigned>(network[byte])) & mask) != 0)
      return false;
  }
  return true;
}

/// Loopback, link-local, multicast, unspecified, broadcast.
bool is_special(const std::string& address) {
  const auto byte = [&address](std::size_t i) { return static_cast<unsigned char>(address[i]); };
  if (address.size() == 4) {
    return byte(0) == 0 || byte(0) == 127 || (byte(0) == 169 && byte(1) == 254) || (byte(0) >= 224);
  }
  const bool is_near_zero =
      std::ranges::all_of(std::string_view(address).substr(0, 15), [](char c) { return c == 0; }) &&
      byte(15) <= 1;
  return is_near_zero || (byte(0) == 0xFE && (byte(1) & 0xC0U) == 0x80U) || byte(0) == 0xFF;
}

Failure forbidden(std::string_view host) {
  return wrong(fmt::format(
      "{} is a loopback, link-local or multicast address, where no camera may be added; name its "
      "network in `server: {{camera_networks: [...]}}`",
      host));
}

}  // namespace

std::string url_host(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  std::string_view rest = url.substr(scheme + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos)
    rest.remove_prefix(at + 1);
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    return std::string(rest.substr(1, end == std::string_view::npos ? end : end - 1));
  }
  return std::string(rest.substr(0, rest.find(':')));
}

Result<CameraAddressRules> CameraAddressRules::create(const std::vector<std::string>& networks) {
  CameraAddressRules rules;
  for (const std::string& text : networks) {
    const std::size_t slash = text.find('/');
    Network network{.bytes = address_bytes(std::string_view(text).substr(0, slash))};
    const int most = static_cast<int>(network.bytes.size() * 8);
    network.prefix_bits = most;
    if (slash != std::string::npos) {
      const char* const end = text.data() + text.size();
      const auto [rest, error] = std::from_chars(text.data() + slash + 1, end, network.prefix_bits);
      if (error != std::errc{} || rest != end) network.prefix_bits = -1;
    }
    if (network.bytes.empty() || network.prefix_bits < 0 || network.prefix_bits > most) {
      return wrong(fmt::format(
          "server.camera_networks: {} is no network; write one like 127.0.0.0/8 or fd00::/8",
          quote(text)));
    }
    rules.networks_.push_back(std::move(network));
  }
  return rules;
}

bool CameraAddressRules::is_allowed(std::string_view address) const {
  const std::string bytes = address_bytes(address);
  if (bytes.empty()) return false;
  const auto is_listed = [&bytes](const Network& network) {
    return is_inside(bytes, network.bytes, network.prefix_bits);
  };
  return !is_special(bytes) || std::ranges::any_of(networks_, is_listed);
}

AddressFilter CameraAddressRules::filter() const {
  return [rules = *this](std::string_view address) -> Result<void> {
    if (rules.is_allowed(address)) return {};
    return forbidden(std::string(address) + ", which");
  };
}

Result<void> CameraAddressRules::check(std::string_view url) const {
  static constexpr std::array<std::string_view, 5> kSchemes{"rtsp", "rtsps", "http", "https",
                                                            "synthetic"};
  const std::string scheme = url_scheme(url);
  if (std::ranges::find(kSchemes, scheme) == kSchemes.end()) {
    return wrong(
        fmt::format("url: {} cannot be added over HTTP; write an rtsp://, rtsps://, http://, "
                    "https:// or synthetic:// address, or add files and devices in the "
                    "configuration",
                    scheme.empty() ? "a path" : scheme + "://"));
  }
  if (scheme == "synthetic") return {};
  const std::string host = url_host(url);
  if (host.empty()) return wrong("url: names no host; write one like rtsp://10.0.0.5/1");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0 || found == nullptr) {
    return wrong(fmt::format("url: the host {} is not known: {}; check its name", quote(host),
                             gai_strerror(error)));
  }
  bool are_all_allowed = true;
  std::array<char, NI_MAXHOST> text{};
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    are_all_allowed &= getnameinfo(entry->ai_addr, entry->ai_addrlen, text.data(), text.size(),
                                   nullptr, 0, NI_NUMERICHOST) == 0 &&
                       is_allowed(text.data());
  }
  freeaddrinfo(found);
  if (are_all_allowed) return {};
  return forbidden("url: " + quote(host));
}

}  // namespace framemill
