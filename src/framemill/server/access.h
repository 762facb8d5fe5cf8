#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// What a client may do; each role may do all that those before it may.
enum class Role : std::uint8_t {
  kNone,     ///< only what everybody may see: whether the process is healthy, and this API's text
  kView,     ///< reads everything but secrets
  kOperate,  ///< also acknowledges alarms, pauses, resumes and restarts cameras
  kAdmin,    ///< also adds, changes and removes cameras, and reloads the configuration
};
[[nodiscard]] std::string_view to_string(Role role);

/// Who a request comes from.
struct Principal {
  std::string name;  ///< of the token; "local" where none is needed; empty: nobody
  Role role = Role::kNone;
};

struct AccessToken {
  std::string name;
  Role role = Role::kView;
  std::string secret;  ///< not empty
};

/// Whether `a` and `b` are equal, in a time that tells nothing of `secret` but its length.
[[nodiscard]] bool equals_in_constant_time(std::string_view secret, std::string_view presented);

/// `text`, base64url without padding (RFC 4648), decoded; empty where it is none.
[[nodiscard]] std::string decode_base64url(std::string_view text);

/// Says who may do what. Pure; any thread.
class Access {
 public:
  /// Without tokens every client may do everything: only for servers that listen on loopback.
  /// `hosts`: further names under which the server is reached ("vision.plant.example"), besides
  /// loopback names and addresses.
  Access(std::vector<AccessToken> tokens, std::vector<std::string> hosts);

  [[nodiscard]] bool is_token_needed() const { return !tokens_.empty(); }
  /// By "Bearer TOKEN"; role kNone for any other text.
  [[nodiscard]] Principal who_is(std::string_view authorization) const;
  /// By the subprotocols of a WebSocket: "framemill.v1, bearer.<base64url of the token>".
  [[nodiscard]] Principal who_is_by_protocols(std::string_view protocols) const;

  /// Whether `host` (of the Host header, with or without port) is a name of this server. Without
  /// tokens that are loopback names and `hosts` only, so that no page of another site reaches it
  /// by a name that resolves to this machine. With tokens it may be anything: such a page has none.
  [[nodiscard]] bool is_host_allowed(std::string_view host) const;
  /// Whether a page of `origin` may ask this server, reached as `host`. Empty: no page asks.
  [[nodiscard]] bool is_origin_allowed(std::string_view origin, std::string_view host) const;

 private:
  [[nodiscard]] Principal who_has(std::string_view secret) const;

  const std::vector<AccessToken> tokens_;
  const std::vector<std::string> hosts_;
};

}  // namespace framemill
