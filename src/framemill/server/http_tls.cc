// The door to TLS: looks at the first bytes of a client, shakes hands, and hands over to the
// connection that serves it, which does not know the difference.

#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/detect_ssl.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include "framemill/server/http_connection.h"
#include "framemill/server/tls_context.h"

namespace framemill {
namespace {

using TlsStream = beast::ssl_stream<beast::tcp_stream>;

class TlsDoor : public std::enable_shared_from_this<TlsDoor> {
 public:
  TlsDoor(HttpServerState& state, tcp::socket&& socket, std::shared_ptr<HttpTicket> ticket,
          std::optional<HttpResponse> refused)
      : state_(state),
        ticket_(std::move(ticket)),
        refused_(std::move(refused)),
        identity_(state.identity),
        stream_(std::move(socket), identity_->context().tls) {}

  void open() {
    beast::get_lowest_layer(stream_).expires_after(state_.options.limits.receive_time);
    beast::async_detect_ssl(stream_.next_layer(), buffer_,
                            [self = shared_from_this()](BeastError error, bool is_tls) {
                              if (!error) self->on_first_bytes(is_tls);
                            });
  }

 private:
  void on_first_bytes(bool is_tls) {
    if (!is_tls) {
      tell_to_use_https();
      return;
    }
    // A handshake costs the processor more than most requests, so it counts as one.
    if (!state_.rate.take(ticket_->peer(), state_.clock.now())) {
      ++state_.refused;
      return;
    }
    // The default argument: Beast 1.81 checks the handler against the other overload's signature.
    stream_.async_handshake(net::ssl::stream_base::server, buffer_.data(),
                            [self = shared_from_this()](BeastError error, std::size_t used = 0) {
                              self->buffer_.consume(used);
                              if (!error) self->on_handshake();
                            });
  }

  void on_handshake() {
    const auto connection =
        std::make_shared<HttpConnection<TlsStream>>(state_, std::move(stream_), std::move(ticket_));
    if (refused_) {
      connection->refuse(*std::move(refused_));
    } else {
      connection->read();
    }
  }

  void tell_to_use_https() {
    tcp::socket socket = beast::get_lowest_layer(stream_).release_socket();
    serve_plain(state_, std::move(socket), std::move(ticket_),
                refusal(400, "https_only", "this address speaks HTTPS only",
                        "write https:// in place of http://"));
  }

  HttpServerState& state_;
  std::shared_ptr<HttpTicket> ticket_;
  std::optional<HttpResponse> refused_;
  const std::shared_ptr<const TlsIdentity> identity_;
  TlsStream stream_;
  beast::flat_buffer buffer_;
};

}  // namespace

void serve_tls(HttpServerState& state, tcp::socket&& socket, std::shared_ptr<HttpTicket> ticket,
               std::optional<HttpResponse> refused) {
  std::make_shared<TlsDoor>(state, std::move(socket), std::move(ticket), std::move(refused))
      ->open();
}

}  // namespace framemill
