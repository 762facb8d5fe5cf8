#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "framemill/base/clock.h"
#include "framemill/engine/sinks/spool/outlet.h"

namespace framemill {

struct WebhookOptions {
  std::string url;  ///< http:// or https://
  std::string username, password;
  std::string ca_file, cert_file, key_file;  ///< PEM; empty: the system's, none
  std::string secret;                        ///< key of the signature; empty: unsigned
  std::size_t batch = 1;                     ///< messages in one request, at most
  Duration timeout = std::chrono::seconds(10);
};

/// An HTTP address that JSON is posted to; any 2xx means taken. Headers beside the usual ones:
///   Idempotency-Key       see idempotency_key(); the same one, with the same body, may come again
///   Framemill-Signature   t=UNIX_SECONDS,v1=HEX: HMAC-SHA256 by the secret over
///   "UNIX_SECONDS.BODY"
/// With batch > 1 the body is JSON lines, one message each.
/// 400, 413, 415 and 422 refuse a message for good; everything else is tried again.
class WebhookOutlet final : public Outlet {
 public:
  /// Errors: kInvalidArgument (certificates that cannot be read), kInternal.
  static Result<std::unique_ptr<WebhookOutlet>> create(WebhookOptions options);
  ~WebhookOutlet() override;

  Result<void> deliver(std::span<const Message> messages) override;
  void interrupt() override { is_interrupted_ = true; }
  [[nodiscard]] std::size_t batch_max() const override { return options_.batch; }

 private:
  struct Handle;
  explicit WebhookOutlet(WebhookOptions options);
  const WebhookOptions options_;
  std::unique_ptr<Handle> handle_;
  std::atomic<bool> is_interrupted_{false};
};

/// Names what is in one request: the message's key, of several "FIRST..LAST/COUNT". A batch that is
/// tried again may have grown meanwhile, and is another one then.
[[nodiscard]] std::string idempotency_key(std::span<const Message> messages);

/// HMAC-SHA256 of `text` in lower-case hex.
[[nodiscard]] std::string hmac_sha256_hex(std::string_view key, std::string_view text);

}  // namespace framemill
