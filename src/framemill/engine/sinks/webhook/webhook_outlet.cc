#include "framemill/engine/sinks/webhook/webhook_outlet.h"

#include <array>
#include <ctime>

#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include "framemill/base/url.h"

namespace framemill {

struct WebhookOutlet::Handle {
  ~Handle() {
    if (curl != nullptr) curl_easy_cleanup(curl);
  }
  CURL* curl = nullptr;
};

std::string hmac_sha256_hex(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &length);
  std::string hex;
  for (unsigned i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

std::string idempotency_key(std::span<const Message> messages) {
  if (messages.size() == 1) return messages.front().key;
  return fmt::format("{}..{}/{}", messages.front().key, messages.back().key, messages.size());
}

WebhookOutlet::WebhookOutlet(WebhookOptions options)
    : options_(std::move(options)), handle_(std::make_unique<Handle>()) {}

WebhookOutlet::~WebhookOutlet() = default;

Result<std::unique_ptr<WebhookOutlet>> WebhookOutlet::create(WebhookOptions options) {
  for (const std::string* const file : {&options.ca_file, &options.cert_file, &options.key_file}) {
    if (!file->empty() && ::access(file->c_str(), R_OK) != 0)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: cannot be read", *file));
  }
  std::unique_ptr<WebhookOutlet> outlet(new WebhookOutlet(std::move(options)));
  const WebhookOptions& o = outlet->options_;
  CURL* const curl = outlet->handle_->curl = curl_easy_init();
  if (curl == nullptr) return fail(ErrorCode::kInternal, "libcurl cannot be used");
  curl_easy_setopt(curl, CURLOPT_URL, o.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);  // a redirect would carry the secrets along
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "framemill/" FRAMEMILL_VERSION);
  const long timeout_ms = std::chrono::duration_cast<std::chrono::milliseconds>(o.timeout).count();
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  // What the receiver says beside its status is not read.
  curl_easy_setopt(
      curl, CURLOPT_WRITEFUNCTION,
      +[](char*, std::size_t size, std::size_t count, void*) { return size * count; });
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, outlet.get());
  curl_easy_setopt(
      curl, CURLOPT_XFERINFOFUNCTION,
      +[](void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
        return static_cast<WebhookOutlet*>(self)->is_interrupted_ ? 1 : 0;
      });
  if (!o.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, o.ca_file.c_str());
  if (!o.cert_file.empty()) {
    curl_easy_setopt(curl, CURLOPT_SSLCERT, o.cert_file.c_str());
    curl_easy_setopt(curl, CURLOPT_SSLKEY, o.key_file.c_str());
  }
  if (!o.username.empty()) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(curl, CURLOPT_USERNAME, o.username.c_str());
    curl_easy_setopt(curl, CURLOPT_PASSWORD, o.password.c_str());
  }
  return outlet;
}

Result<void> WebhookOutlet::deliver(std::span<const Message> messages) {
  if (messages.empty()) return {};
  if (is_interrupted_) return fail(ErrorCode::kCancelled, "the run ends");
  std::string body;
  for (const Message& message : messages) {
    body += message.body;
    if (options_.batch > 1) body += '\n';
  }
  curl_slist* headers = nullptr;
  const auto add = [&](const std::string& line) {
    headers = curl_slist_append(headers, line.c_str());
  };
  add(options_.batch > 1 ? "Content-Type: application/x-ndjson" : "Content-Type: application/json");
  add("Idempotency-Key: " + idempotency_key(messages));
  add("Expect:");
  if (!options_.secret.empty()) {
    const std::string now = std::to_string(std::time(nullptr));
    add(fmt::format("Framemill-Signature: t={},v1={}", now,
                    hmac_sha256_hex(options_.secret, now + "." + body)));
  }
  CURL* const curl = handle_->curl;
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  const std::string place = "webhook " + redact(options_.url);
  if (code != CURLE_OK)
    return fail(ErrorCode::kUnavailable, fmt::format("{}: {}", place, curl_easy_strerror(code)));
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 200 && status < 300) return {};
  const bool is_refused = status == 400 || status == 413 || status == 415 || status == 422;
  return fail(is_refused ? ErrorCode::kInvalidArgument : ErrorCode::kUnavailable,
              fmt::format("{}: answers {}", place, status));
}

}  // namespace framemill
