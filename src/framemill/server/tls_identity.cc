#include "framemill/server/tls_identity.h"

#include <ctime>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509err.h>

#include "framemill/server/tls_context.h"

namespace framemill {
namespace {

namespace ssl = boost::asio::ssl;
using TlsError = boost::system::error_code;

Failure wrong(const char* setting, const std::string& path, std::string_view what,
              std::string_view remedy) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("server.{}: {}: {}; {}", setting, path, what, remedy));
}

Failure another_key(const TlsFiles& files) {
  return wrong("key_file", files.key_file, "is the key of another certificate",
               fmt::format("give the key of {}", files.cert_file));
}

/// Tells a file that is not there from one that holds something else, which OpenSSL does not.
Result<void> check_readable(const char* setting, const std::string& path) {
  std::error_code status;
  const bool is_file = std::filesystem::is_regular_file(path, status);
  if (is_file && std::ifstream(path)) return {};
  return wrong(setting, path, is_file ? "cannot be read" : "there is no such file",
               "check the path and the rights");
}

/// TLS 1.2 and 1.3, as Debian's OpenSSL chooses ciphers.
void set_up(ssl::context& tls) {
  tls.set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                  ssl::context::no_sslv3 | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 |
                  ssl::context::no_compression);
  SSL_CTX* const native = tls.native_handle();
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  constexpr unsigned char kSession[] = "framemill";
  SSL_CTX_set_session_id_context(native, kSession, sizeof(kSession) - 1);
  // Else OpenSSL would ask for a password at the terminal.
  SSL_CTX_set_default_passwd_cb(native, [](char*, int, int, void*) { return 0; });
}

WallTime end_of(SSL_CTX* context) {
  const X509* const certificate = SSL_CTX_get0_certificate(context);
  std::tm end{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
    return WallTime{};
  return std::chrono::time_point_cast<WallTime::duration>(
      std::chrono::system_clock::from_time_t(timegm(&end)));
}

}  // namespace

TlsIdentity::TlsIdentity(std::unique_ptr<Context> context, WallTime expires_at)
    : context_(std::move(context)), expires_at_(expires_at) {}

TlsIdentity::~TlsIdentity() = default;

Result<std::shared_ptr<const TlsIdentity>> TlsIdentity::load(const TlsFiles& files) {
  for (const auto& [setting, path] :
       {std::pair{"cert_file", &files.cert_file}, std::pair{"key_file", &files.key_file},
        std::pair{"client_ca_file", &files.client_ca_file}}) {
    if (path->empty()) continue;
    if (const Result<void> readable = check_readable(setting, *path); !readable)
      return fail(readable.error());
  }
  auto context = std::make_unique<Context>();
  ssl::context& tls = context->tls;
  set_up(tls);
  TlsError error;
  tls.use_certificate_chain_file(files.cert_file, error);
  if (error) {
    return wrong("cert_file", files.cert_file,
                 fmt::format("holds no certificate: {}", error.message()),
                 "give a PEM file, the server's own certificate first");
  }
  tls.use_private_key_file(files.key_file, ssl::context::pem, error);
  if (error) {
    if (ERR_GET_REASON(static_cast<unsigned long>(error.value())) == X509_R_KEY_VALUES_MISMATCH)
      return another_key(files);
    return wrong("key_file", files.key_file,
                 fmt::format("holds no key that can be used: {}", error.message()),
                 "give a private key in PEM without a password");
  }
  if (SSL_CTX_check_private_key(tls.native_handle()) != 1) return another_key(files);
  if (!files.client_ca_file.empty()) {
    tls.load_verify_file(files.client_ca_file, error);
    if (error) {
      return wrong("client_ca_file", files.client_ca_file,
                   fmt::format("holds no certificate: {}", error.message()),
                   "give a PEM file with the authorities of the clients");
    }
    SSL_CTX_set_client_CA_list(tls.native_handle(),
                               SSL_load_client_CA_file(files.client_ca_file.c_str()));
    tls.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  }
  const WallTime end = end_of(tls.native_handle());
  return std::shared_ptr<const TlsIdentity>(new TlsIdentity(std::move(context), end));
}

}  // namespace framemill
