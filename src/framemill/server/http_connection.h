#pragma once

// A connection reads one request, hands it to a worker, writes the answer, and reads the next; so
// at most one request of a connection is under way, and what a client can make the server hold is
// bounded by the number of connections times the limits of one. Deadlines are set for the whole of
// a head, of a body and of an answer, not for each of its pieces: a client that sends a byte a
// second gains nothing. All members of connections are used on the network's thread only.

#include <array>
#include <atomic>
#include <cctype>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include "framemill/server/http_server_state.h"

namespace framemill {

namespace http = beast::http;
namespace websocket = beast::websocket;

/// A client above its rate waits so long for its refusal: one that asks in a loop slows down.
inline constexpr Duration kRateDelay = std::chrono::milliseconds(250);
/// What a refused client may still send, and how long, before the connection is cut: else it would
/// see a broken connection in place of the reason.
inline constexpr std::size_t kLingerBytes = 1024 * 1024;
inline constexpr Duration kLingerTime = std::chrono::seconds(1);

/// How much a client of a stream may say: messages, and bytes. What comes faster waits in its
/// socket.
inline constexpr Duration kMessagePause = std::chrono::milliseconds(20);
inline constexpr std::int64_t kMessageBytesPerSecond = 256 * 1024;

/// "Application/JSON; charset=utf-8" as "application/json".
[[nodiscard]] inline std::string lower_type(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return type;
}

/// A WebSocket: what the channel has goes out, one message at a time.
template <typename Stream>
class HttpSocket : public std::enable_shared_from_this<HttpSocket<Stream>> {
 public:
  HttpSocket(HttpServerState& state, Stream&& stream, std::shared_ptr<HttpTicket> ticket,
             UpgradeAnswer&& answer)
      : state_(state),
        ticket_(std::move(ticket)),
        channel_(std::move(answer.channel)),
        protocol_(std::move(answer.protocol)),
        socket_(std::move(stream)),
        pause_(state.network) {
    ++state_.sockets;
  }
  HttpSocket(const HttpSocket&) = delete;
  ~HttpSocket() {
    channel_->on_closed();
    --state_.sockets;
  }

  void run(const http::request<http::string_body>& request) {
    beast::get_lowest_layer(socket_).expires_never();
    websocket::stream_base::timeout timeouts{};
    timeouts.handshake_timeout = state_.options.limits.receive_time;
    timeouts.idle_timeout = state_.options.limits.socket_idle_time;
    timeouts.keep_alive_pings = true;
    socket_.set_option(timeouts);
    socket_.set_option(
        websocket::stream_base::decorator([protocol = protocol_](websocket::response_type& answer) {
          if (!protocol.empty()) answer.set(http::field::sec_websocket_protocol, protocol);
        }));
    socket_.read_message_max(state_.options.limits.message_bytes_max);
    socket_.text(true);
    socket_.async_accept(request, [self = this->shared_from_this()](BeastError error) {
      if (error) return;
      self->listen_to_channel();
      self->read();
      self->pump();
    });
  }

 private:
  void listen_to_channel() {
    const std::weak_ptr<HttpSocket> weak = this->weak_from_this();
    channel_->set_wake([weak] {
      const std::shared_ptr<HttpSocket> self = weak.lock();
      if (!self || self->is_wake_pending_.exchange(true)) return;
      net::post(self->socket_.get_executor(), [weak] {
        const std::shared_ptr<HttpSocket> woken = weak.lock();
        if (!woken) return;
        woken->is_wake_pending_ = false;
        woken->pump();
      });
    });
  }

  void read() {
    socket_.async_read(buffer_, [self = this->shared_from_this()](BeastError error, std::size_t) {
      if (error) return self->close();
      const auto bytes = self->buffer_.data();
      self->channel_->on_message({static_cast<const char*>(bytes.data()), bytes.size()});
      const Duration pause =
          kMessagePause + Duration(std::chrono::seconds(bytes.size())) / kMessageBytesPerSecond;
      self->buffer_.consume(bytes.size());
      self->pump();
      self->pause_.expires_after(pause);
      self->pause_.async_wait([self](BeastError over) {
        if (!over) self->read();
      });
    });
  }

  void pump() {
    if (is_writing_ || is_closed_) return;
    sending_ = channel_->next();
    if (!sending_) return;
    is_writing_ = true;
    socket_.async_write(net::buffer(*sending_),
                        [self = this->shared_from_this()](BeastError error, std::size_t) {
                          self->is_writing_ = false;
                          self->sending_.reset();
                          if (error) return self->close();
                          self->pump();
                        });
  }

  /// What is under way ends with an error and lets go of this.
  void close() {
    is_closed_ = true;
    beast::get_lowest_layer(socket_).close();
  }

  HttpServerState& state_;
  const std::shared_ptr<HttpTicket> ticket_;
  const std::shared_ptr<SocketChannel> channel_;
  const std::string protocol_;
  websocket::stream<Stream> socket_;
  net::steady_timer pause_;
  beast::flat_buffer buffer_;
  std::shared_ptr<const std::string> sending_;
  bool is_writing_ = false;
  bool is_closed_ = false;
  std::atomic<bool> is_wake_pending_{false};
};

/// Requests of one client, one after the other.
template <typename Stream>
class HttpConnection : public std::enable_shared_from_this<HttpConnection<Stream>> {
 public:
  HttpConnection(HttpServerState& state, Stream&& stream, std::shared_ptr<HttpTicket> ticket)
      : state_(state),
        ticket_(std::move(ticket)),
        stream_(std::move(stream)),
        pause_(state.network) {}

  void read() {
    parser_.emplace();
    parser_->header_limit(limits().header_bytes_max);
    parser_->body_limit(limits().body_bytes_max);
    // The time between two requests counts as well: until something has come, idle_time holds.
    socket().expires_after(has_answered_ && buffer_.size() == 0 ? limits().idle_time
                                                                : limits().receive_time);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = this->shared_from_this()](BeastError error, std::size_t) { self->on_head(error); });
  }

  void refuse(HttpResponse&& response) {
    ++state_.refused;
    is_last_ = true;
    write(std::move(response));
  }

 private:
  static constexpr bool kIsTls = !std::is_same_v<Stream, beast::tcp_stream>;

  [[nodiscard]] beast::tcp_stream& socket() { return beast::get_lowest_layer(stream_); }
  [[nodiscard]] const HttpLimits& limits() const { return state_.options.limits; }

  /// Answers what cannot be parsed; true where there is nothing to go on with.
  bool has_failed(BeastError error) {
    if (!error) return false;
    if (error == http::error::header_limit) {
      refuse(refusal(431, "too_large", "the request's line and headers are too large",
                     "send less than 16 KiB of them"));
    } else if (error == http::error::body_limit) {
      refuse(refusal(413, "too_large", "the body is too large", "send less than 256 KiB"));
    } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      refuse(refusal(400, "invalid_argument", "this is no HTTP/1.1 request",
                     "send one as RFC 9112 has it"));
    }  // else the client has gone, or was too slow
    return true;
  }

  void on_head(BeastError error) {
    if (has_failed(error)) return;
    socket().expires_after(limits().receive_time);
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](BeastError body_error, std::size_t) {
                       if (!self->has_failed(body_error)) self->on_request();
                     });
  }

  void on_request() {
    ++state_.requests;
    message_ = parser_->release();
    is_last_ = !message_.keep_alive();
    is_head_ = message_.method() == http::verb::head;
    socket().expires_never();
    if (!state_.rate.take(ticket_->peer(), state_.clock.now())) {
      pause_.expires_after(kRateDelay);
      pause_.async_wait([self = this->shared_from_this()](BeastError error) {
        if (error) return;
        ++self->state_.refused;
        self->write(refusal(429, "too_many_requests", "too many requests from this address",
                            "ask less often, or use the stream"));
      });
      return;
    }
    HttpRequest request;
    const std::optional<HttpTarget> target = parse_target(std::string_view(message_.target()));
    if (!target) {
      write(refusal(400, "invalid_argument", "the address has characters that it must not have",
                    "encode them as %XX of UTF-8"));
      return;
    }
    request.path = target->path;
    request.query = target->query;
    fill(request);
    if (request.is_upgrade) {
      upgrade(request);
      return;
    }
    if (state_.requests_waiting.fetch_add(1) >= limits().requests_waiting_max) {
      --state_.requests_waiting;
      ++state_.refused;
      write(refusal(503, "unavailable", "the server has more to do than it can", "try again"));
      return;
    }
    hand_over(std::move(request));
  }

  /// To a worker; what it answers comes back to the network's thread, and with it the connection.
  void hand_over(HttpRequest&& request) {
    net::post(state_.work, [self = this->shared_from_this(), asked = std::move(request)]() mutable {
      HttpResponse response = self->state_.options.handle(asked);
      auto& network = self->state_.network;
      net::post(network, [self = std::move(self), asked = std::move(asked),
                          response = std::move(response)]() mutable {
        self->on_handled(std::move(asked), std::move(response));
      });
    });
  }

  void on_handled(HttpRequest&& request, HttpResponse&& response) {
    if (!response.again_in) {
      --state_.requests_waiting;
      write(std::move(response));
      return;
    }
    request.waited += *response.again_in;
    pause_.expires_after(*response.again_in);
    pause_.async_wait(
        [self = this->shared_from_this(), asked = std::move(request)](BeastError error) mutable {
          if (!error) self->hand_over(std::move(asked));
        });
  }

  void fill(HttpRequest& request) {
    const auto field = [this](http::field name) { return std::string(message_[name]); };
    request.method = is_head_ ? "GET" : std::string(message_.method_string());
    request.content_type = lower_type(field(http::field::content_type));
    request.authorization = field(http::field::authorization);
    request.host = field(http::field::host);
    request.origin = field(http::field::origin);
    request.fetch_site = std::string(message_["Sec-Fetch-Site"]);
    request.if_none_match = field(http::field::if_none_match);
    request.protocols = field(http::field::sec_websocket_protocol);
    request.peer = ticket_->peer();
    request.is_upgrade = websocket::is_upgrade(message_);
    request.body = std::move(message_.body());
  }

  void upgrade(const HttpRequest& request) {
    UpgradeAnswer answer;
    if (state_.sockets >= static_cast<std::int64_t>(limits().sockets_max)) {
      ++state_.refused;
      answer.refusal = refusal(503, "unavailable", "too many streams are open", "close some");
    } else {
      answer = state_.options.upgrade(request);
    }
    if (!answer.channel) {
      write(std::move(answer.refusal));
      return;
    }
    std::make_shared<HttpSocket<Stream>>(state_, std::move(stream_), ticket_, std::move(answer))
        ->run(message_);
  }

  void write(HttpResponse&& response) {
    body_ = response.body ? std::move(response.body) : std::make_shared<const std::string>();
    answer_ = {};
    answer_.version(11);
    answer_.result(static_cast<unsigned>(response.status));
    answer_.reason(std::string(status_text(response.status)));
    answer_.keep_alive(!is_last_);
    answer_.set("X-Content-Type-Options", "nosniff");
    answer_.set("Referrer-Policy", "no-referrer");
    answer_.set("Cross-Origin-Resource-Policy", "same-origin");
    if (!response.content_type.empty()) {
      answer_.set(http::field::content_type, response.content_type);
    }
    answer_.set(http::field::cache_control, "no-store");
    for (const auto& [name, value] : response.headers) answer_.set(name, value);
    const bool has_body = response.status != 204 && response.status != 304;
    if (has_body) answer_.content_length(body_->size());
    if (has_body && !is_head_) answer_.body() = {body_->data(), body_->size()};
    has_answered_ = true;
    socket().expires_after(limits().send_time);
    serializer_.emplace(answer_);
    const auto done = [self = this->shared_from_this()](BeastError error, std::size_t) {
      self->on_written(error);
    };
    if (has_body && !is_head_) {
      http::async_write(stream_, *serializer_, done);
    } else {
      http::async_write_header(stream_, *serializer_, done);
    }
  }

  void on_written(BeastError error) {
    serializer_.reset();
    body_.reset();
    if (error) return;
    if (!is_last_) {
      read();
      return;
    }
    socket().expires_after(kLingerTime);
    if constexpr (kIsTls) {  // tells the client that nothing was cut off
      stream_.async_shutdown(
          [self = this->shared_from_this()](BeastError) { self->say_goodbye(); });
    } else {
      say_goodbye();
    }
  }

  void say_goodbye() {
    BeastError ignored;
    socket().socket().shutdown(tcp::socket::shutdown_send, ignored);
    linger();
  }

  void linger() {
    socket().async_read_some(net::buffer(scratch_), [self = this->shared_from_this()](
                                                        BeastError error, std::size_t bytes) {
      self->lingered_bytes_ += bytes;
      if (!error && self->lingered_bytes_ < kLingerBytes) self->linger();
    });
  }

  HttpServerState& state_;
  const std::shared_ptr<HttpTicket> ticket_;
  Stream stream_;
  net::steady_timer pause_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::request<http::string_body> message_;
  http::response<http::span_body<const char>> answer_;
  std::optional<http::response_serializer<http::span_body<const char>>> serializer_;
  std::shared_ptr<const std::string> body_;
  std::array<char, 4096> scratch_{};
  std::size_t lingered_bytes_ = 0;
  bool is_last_ = false;
  bool is_head_ = false;
  bool has_answered_ = false;
};

}  // namespace framemill
