#pragma once

#include <memory>
#include <string>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"

namespace framemill {

/// Files of a server that speaks TLS, all PEM.
struct TlsFiles {
  std::string cert_file;  ///< certificate, then those that lead to its authority; empty: no TLS
  std::string key_file;   ///< its private key, without a password
  std::string client_ca_file;  ///< authorities of clients, who then need a certificate; empty: none
};

/// A certificate with its key, read and checked: what a server shows who it is. Immutable; any
/// thread. A connection keeps the identity with which it began.
class TlsIdentity {
 public:
  /// Errors: kInvalidArgument for what is missing, unreadable, no PEM, protected by a password, or
  /// does not belong together; the message names setting, file and remedy.
  static Result<std::shared_ptr<const TlsIdentity>> load(const TlsFiles& files);
  ~TlsIdentity();

  [[nodiscard]] WallTime expires_at() const { return expires_at_; }
  /// Asio's context; for the HTTP server's files.
  struct Context;
  [[nodiscard]] Context& context() const { return *context_; }

 private:
  TlsIdentity(std::unique_ptr<Context> context, WallTime expires_at);
  const std::unique_ptr<Context> context_;
  const WallTime expires_at_;
};

}  // namespace framemill
