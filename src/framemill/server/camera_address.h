#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/video/source.h"

namespace framemill {

/// Where cameras that are added over HTTP may be: who may add a camera must not thereby reach what
/// only this machine reaches. By default rtsp, rtsps, http, https and synthetic sources at any
/// address but loopback, link-local (the metadata services of clouds among them), multicast and
/// unspecified ones.
class CameraAddressRules {
 public:
  /// `networks`: allowed as well, "127.0.0.0/8", "fd00::/8". Errors: kInvalidArgument, names it.
  static Result<CameraAddressRules> create(const std::vector<std::string>& networks);

  /// Whether a camera may be at `url`. Asks the name service where the host is a name: all its
  /// addresses have to be allowed. What it answers later, and where the camera redirects to, is for
  /// filter() to see. May take seconds. Errors: kInvalidArgument; the message holds no credentials.
  [[nodiscard]] Result<void> check(std::string_view url) const;

  /// Whether a camera may be at this numeric address.
  [[nodiscard]] bool is_allowed(std::string_view address) const;

  /// The same for each connection to a camera; holds a copy of these rules.
  [[nodiscard]] AddressFilter filter() const;

 private:
  struct Network {
    std::string bytes;  ///< 4 or 16
    int prefix_bits = 0;
  };
  std::vector<Network> networks_;
};

/// The host of a URL, without credentials, port and brackets; empty where there is none.
[[nodiscard]] std::string url_host(std::string_view url);

}  // namespace framemill
